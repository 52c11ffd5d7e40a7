import { Command } from 'commander'
import { expect } from 'chai'
import {
  matchOf,
  neededMatchOf,
  parseClaim,
  showMatch,
  withMatch,
  type MatchOptions,
} from '../../../shared/cli/arguments/match-options.ts'
import { durationOf, parseMoment } from '../../../shared/cli/arguments/moment.ts'
import { parseCount } from '../../../shared/cli/arguments/count.ts'
import { detailsOf } from '../../../shared/cli/changes/change-options.ts'
import { parseUrl } from '../../../shared/cli/client/connection-options.ts'
import { exitOfDecision } from '../../../shared/cli/exit.ts'
import { UsageError } from '../../../shared/cli/usage-error.ts'

const NOW_MS = Date.UTC(2026, 0, 31, 12, 0, 0, 500)
const NOW = Date.UTC(2026, 0, 31, 12) / 1000

describe('a time on the command line', () => {
  const times: readonly (readonly [text: string, seconds: number])[] = [
    ['now', NOW],
    ['0', 0],
    ['1769860800', 1_769_860_800],
    ['+2h', NOW + 7200],
    ['-15m', NOW - 900],
    ['+500ms', NOW + 1],
    ['2026-01-31', Date.UTC(2026, 0, 31) / 1000],
    ['2026-01-31T12:00', NOW],
    ['2026-01-31T12:00:00', NOW],
    ['2026-01-31T12:00:00Z', NOW],
    ['2026-01-31T12:00:00.900Z', NOW],
    ['2026-01-31T13:00:00+01:00', NOW],
  ]
  for (const [text, seconds] of times) {
    it(`reads ${text}`, () => {
      expect(parseMoment(text, NOW_MS)).to.equal(seconds)
    })
  }

  it('reads what names no zone as UTC, wherever it runs', () => {
    const zone = process.env['TZ']
    process.env['TZ'] = 'Asia/Tokyo'
    expect(parseMoment('2026-01-31T12:00:00', NOW_MS)).to.equal(NOW)
    expect(parseMoment('2026-01-31', NOW_MS)).to.equal(NOW - 43_200)
    if (zone === undefined) delete process.env['TZ']
    else process.env['TZ'] = zone
  })

  const bad = [
    '',
    'soon',
    '+2',
    '2h',
    '+-2h',
    '2026-13-01',
    '2026-1-1',
    '31.01.2026',
    '12345678901',
  ]
  for (const text of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseMoment(text, NOW_MS)).to.throw(UsageError)
    })
  }

  it('takes durations with a unit only', () => {
    expect(durationOf('5s')).to.equal(5000)
    for (const text of ['5', '', '1.5s', '-1s']) {
      expect(() => durationOf(text), text).to.throw(UsageError)
    }
  })
})

describe('a match on the command line', () => {
  it('is made of the claims that are named', () => {
    expect(matchOf({ sub: 'alice', clientId: 'app' })).to.deep.equal({
      client_id: 'app',
      sub: 'alice',
    })
    expect(
      matchOf({ claim: ['n=5', 'admin=true', 'role=admin', 's="5"'].slice(0, 3) }),
    ).to.deep.equal({ admin: true, n: 5, role: 'admin' })
    expect(matchOf({})).to.equal(undefined)
    expect(matchOf({ all: true })).to.deep.equal({})
    expect(() => neededMatchOf({})).to.throw(UsageError, '--sub')
  })

  const bad: readonly (readonly [what: string, options: MatchOptions])[] = [
    ['a claim twice', { sub: 'a', claim: ['sub=b'] }],
    ['--all with a claim', { all: true, sub: 'a' }],
    ['an empty value', { sub: '' }],
    ['four claims', { sub: 'a', sid: 'b', jti: 'c', aud: 'd' }],
    ['a claim without a value', { claim: ['role'] }],
    ['a claim without a name', { claim: ['=x'] }],
  ]
  for (const [what, options] of bad) {
    it(`refuses ${what}`, () => {
      expect(() => matchOf(options)).to.throw(UsageError)
    })
  }

  it('takes a value as JSON only where that is a text, a number or a boolean', () => {
    expect(parseClaim('a="5"')).to.deep.equal(['a', '5'])
    expect(parseClaim('a=null')).to.deep.equal(['a', 'null'])
    expect(parseClaim('a=[1]')).to.deep.equal(['a', '[1]'])
    expect(parseClaim('a=b=c')).to.deep.equal(['a', 'b=c'])
  })

  it('is read from real options', () => {
    const command = withMatch(new Command())
    command.parse(['--client-id', 'app', '--claim', 'a=1', '--claim', 'b=x'], { from: 'user' })
    expect(matchOf(command.opts())).to.deep.equal({ a: 1, b: 'x', client_id: 'app' })
  })

  it('is shown so that a text and a number differ from claims', () => {
    expect(showMatch({ sub: 'a', n: 5 })).to.equal('sub=a n=5')
    expect(showMatch({})).to.include('whole tenant')
  })
})

describe('what a revocation is given', () => {
  it('becomes the body that the API takes', () => {
    const body = detailsOf(
      {
        reason: 'logout',
        except: ['sid=s-1'],
        issuedBefore: 'any',
        wait: '3',
        timeout: '10s',
        service: ['orders'],
      },
      NOW_MS,
    )
    expect(body).to.deep.equal({
      reason: 'logout',
      except: { sid: 's-1' },
      issuedBefore: null,
      wait: { for: 3, timeoutMs: 10_000, services: ['orders'] },
    })
    expect(detailsOf({ wait: true }, NOW_MS)).to.deep.equal({
      wait: { for: 'all', timeoutMs: 5000 },
    })
    expect(detailsOf({}, NOW_MS)).to.deep.equal({})
  })

  it('is refused where it cannot be meant', () => {
    for (const options of [
      { wait: 'some' },
      { wait: '0' },
      { wait: 'all', at: '+1h' },
      { wait: 'all', dryRun: true },
      { wait: 'all', service: ['No Name'] },
      { wait: 'all', timeout: '5' },
      { reason: 'because' },
    ]) {
      expect(() => detailsOf(options, NOW_MS), JSON.stringify(options)).to.throw(UsageError)
    }
  })
})

describe('other arguments', () => {
  it('takes whole numbers within their bounds', () => {
    expect([parseCount('--limit', '1', 10), parseCount('--limit', '10', 10)]).to.deep.equal([1, 10])
    for (const text of ['0', '11', '-1', '1.5', 'x', '']) {
      expect(() => parseCount('--limit', text, 10), text).to.throw(UsageError, '--limit')
    }
  })

  it('takes http and https URLs without credentials, and keeps a path', () => {
    expect(parseUrl('https://knell.example/below').href).to.equal('https://knell.example/below/')
    for (const text of ['localhost:7070', 'ftp://x', '', 'http://user:hunter2@x']) {
      expect(() => parseUrl(text), text)
        .to.throw(UsageError)
        .with.property('message')
        .not.include('hunter2')
    }
  })

  it('tells decisions apart by exit code', () => {
    expect(exitOfDecision('active')).to.equal('ok')
    for (const code of ['revoked', 'held', 'expired', 'token_too_long_lived'] as const) {
      expect(exitOfDecision(code)).to.equal('dead')
    }
    for (const code of ['stale', 'not_ready', 'header_needed', 'iat_required'] as const) {
      expect(exitOfDecision(code)).to.equal('unknown')
    }
  })
})
