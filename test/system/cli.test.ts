import { expect } from 'chai'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuer } from '../support/issuer.ts'
import { runKnell, runProgram, knellFile, type Ran, type RunOptions } from '../support/run-knell.ts'
import { call, createSystem, now, type TestSystem } from '../support/system.ts'

describe('knell, the command line', function () {
  this.timeout(60_000)
  const issuer = createIssuer()
  let system: TestSystem
  let notifier: KnellProcess
  let env: Record<string, string>
  let folder: string

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'knell-cli-'))
    const more = { API_KEYS: '', ISSUER: issuer.verify.issuer }
    system = createSystem({ ...more, JWT_KEYS: JSON.stringify(issuer.verify.keys) })
    const keys = `test=${system.apiKey}:* reader=reader0123456789:feed:read`
    notifier = await system.start('notifier', { API_KEYS: keys })
    env = { KNELL_URL: notifier.url, KNELL_API_KEY: system.apiKey }
  })
  after(async () => {
    await system.stop()
    rmSync(folder, { recursive: true })
  })

  const knell = (args: readonly string[], options: RunOptions = {}): Promise<Ran> =>
    runKnell(args, { ...options, env: { ...env, ...options.env } })

  const json = (ran: Ran): Record<string, unknown> => {
    expect(ran.err).to.equal('')
    return JSON.parse(ran.out) as Record<string, unknown>
  }

  const file = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }

  const ruleOf = async (sub: string): Promise<Record<string, unknown> | null> => {
    const { body } = await call(notifier, system.apiKey, `/v1/revocations?sub=${sub}`)
    return body['rule'] as Record<string, unknown> | null
  }

  describe('for one token or user', () => {
    it('revokes what a service then refuses, and proves it', async () => {
      const service = await system.subscribe({ service: 'orders' })
      await eventually(() => service.stats.push === 'up', { what: 'the push path' })
      const args = ['revoke', '--sub', 'alice', '--reason', 'logout', '--wait', '--json']
      const ran = await knell(args)
      expect(ran.code).to.equal(0)
      expect(json(ran)['enforced']).to.include({ done: true, live: 1, applied: 1 })
      const iat = now() - 60
      expect(service.check({ sub: 'alice', iat, exp: iat + 600 })).to.include({
        code: 'revoked',
        reason: 'logout',
      })
      const absent = await knell([
        'revoke',
        '--sub',
        'amy',
        '--wait',
        '1',
        '--service',
        'gone',
        '--timeout',
        '10ms',
      ])
      expect(absent.code, 'committed, but not proved').to.equal(4)
      expect(absent.out)
        .to.match(/not enforced/)
        .and.match(/no live instance of: gone/)
      expect(await ruleOf('amy')).to.not.equal(null)
    })

    it('says by its exit code whether a token is dead', async () => {
      await knell(['revoke', '--sub', 'carol'])
      const dead = await knell(['check', '--sub', 'carol'])
      expect(dead.code).to.equal(3)
      expect(dead.out).to.match(/^revoked/)
      const alive = await knell(['check', '--sub', 'dave'])
      expect(alive.code).to.equal(0)
      expect(alive.out).to.match(/^active/)
      const unknown = await knell(['check', '--claims', '{"sub":"dave"}'])
      expect(unknown.code).to.equal(4)
      const input = issuer.token('carol')
      expect((await knell(['check', '--token', '-'], { input })).code).to.equal(3)
    })

    it('takes tokens from standard input only', async () => {
      const token = issuer.token('ed', { jti: 'ed-1' })
      expect((await knell(['revoke', '--token', '-'], { input: `${token}\n` })).code).to.equal(0)
      const iat = String(now() - 1)
      expect((await knell(['check', '--jti', 'ed-1', '--iat', iat])).code).to.equal(3)
      const shown = await knell(['revoke', '--token', token])
      expect(shown.code).to.equal(2)
      expect(shown.err).to.include('ps').and.not.include(token)
    })

    it('holds, releases, revokes, restores and schedules', async () => {
      await knell(['hold', '--sub', 'erin', '--review-by', '+1h', '--outcome', 'release'])
      expect(await ruleOf('erin')).to.include({ held: true })
      expect((await knell(['release', '--sub', 'erin'])).code).to.equal(0)
      const { id } = json(await knell(['revoke', '--sub', 'erin', '--json']))
      expect((await knell(['check', '--sub', 'erin'])).code).to.equal(3)
      expect((await knell(['restore', String(id)])).out).to.match(/^restored +sub=erin/)
      expect((await knell(['check', '--sub', 'erin'])).code).to.equal(0)
      const made = json(
        await knell(['schedule', 'revoke', '--sub', 'finn', '--at', '+1h', '--json']),
      )
      expect((await knell(['schedule', 'ls'])).out)
        .to.include(String(made['id']))
        .and.include('sub=finn')
      expect((await knell(['schedule', 'cancel', String(made['id'])])).code).to.equal(0)
      expect((await knell(['schedule', 'ls'])).out).to.not.include('sub=finn')
    })

    it('reaches beyond one user only where --yes is said', async () => {
      for (const aim of [['--client-id', 'app'], ['--all'], ['--kid', 'k9', '--sub', 'x']]) {
        const ran = await knell(['revoke', ...aim])
        expect(ran.code, aim.join(' ')).to.equal(2)
        expect(ran.err).to.include('--yes')
      }
      const { body } = await call(notifier, system.apiKey, '/v1/revocations?client_id=app')
      expect(body['rule']).to.equal(null)
      const dry = json(await knell(['revoke', '--client-id', 'app', '--dry-run', '--json']))
      expect(dry).to.include({ dryRun: true })
      expect((await knell(['revoke', '--client-id', 'app', '--yes'])).code).to.equal(0)
      expect((await knell(['restore', '--client-id', 'app'])).code).to.equal(0)
    })

    it('shows on a terminal whom it would hit, and asks', async function () {
      // util-linux's `script` gives the command a terminal; elsewhere it takes other arguments.
      if (process.platform !== 'linux') this.skip()
      const ask = (said: string): Promise<Ran> =>
        runProgram('script', ['-qec', '"$NODE" "$KNELL" revoke --client-id till', '/dev/null'], {
          env: { ...env, NODE: process.execPath, KNELL: knellFile, TERM: 'xterm' },
          input: said,
        })
      const no = await ask('n\n')
      expect(no.code, no.out).to.equal(1)
      expect(no.out)
        .to.include('registered tokens')
        .and.match(/every token of client_id=till.*\[y\/N\]/)
        .and.include('Nothing was done.')
      const { body } = await call(notifier, system.apiKey, '/v1/revocations?client_id=till')
      expect(body['rule']).to.equal(null)
      const yes = await ask('y\n')
      expect(yes.code, yes.out).to.equal(0)
      expect((await knell(['restore', '--client-id', 'till'])).code).to.equal(0)
    })

    it('says in the audit trail that it came from here', async () => {
      await knell(['revoke', '--sub', 'olga', '--by', 'ops-1', '--note', 'ticket 5'])
      const { audit } = json(await knell(['audit', '--sub', 'olga', '--json']))
      const [first] = audit as Record<string, unknown>[]
      expect(first).to.include({ action: 'revoke' })
      expect(first?.['from']).to.include({ via: 'cli' })
      expect(first?.['who']).to.include({ by: 'ops-1' })
      const lines = (await knell(['audit', '--export'])).out.trim().split('\n')
      const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
      expect(records.pop()).to.include({ end: true, count: records.length })
      expect(records.at(-1)).to.include({ action: 'revoke', note: 'ticket 5' })
    })
  })

  describe('for whole files', () => {
    it('revokes every line of CSV and NDJSON, and keeps what was refused', async () => {
      const rejects = join(folder, 'bad.ndjson')
      const csv = file(
        'a.csv',
        'sub,client_id,reason\nbulk-1,,deletion\n,app,\nbulk-2,,nonsense\nbulk-3,,\n',
      )
      const ran = await knell([
        'revoke',
        '--from',
        csv,
        '--rejects',
        rejects,
        '--reason',
        'logout',
        '--json',
      ])
      expect(ran.code).to.equal(1)
      expect(JSON.parse(ran.out)).to.include({ done: 2, refused: 2, complete: true })
      const kept = readFileSync(rejects, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object)
      expect(kept.map((each) => ({ ...each, detail: '' }))).to.have.deep.members([
        { line: 3, code: 'needs_yes', detail: '', item: { match: { client_id: 'app' } } },
        {
          line: 4,
          code: 'invalid_request',
          detail: '',
          item: { match: { sub: 'bulk-2' }, reason: 'nonsense' },
        },
      ])
      expect(ran.err).to.match(/^line 4: invalid_request: (?!invalid_request)/m)
      expect(await ruleOf('bulk-1')).to.include({ reason: 'deletion' })
      expect(await ruleOf('bulk-3'), 'what the line leaves open').to.include({ reason: 'logout' })
      const input = Array.from({ length: 500 }, (_, i) =>
        JSON.stringify({ match: { sub: `many-${i}` } }),
      )
      const many = await knell(['revoke', '--from', '-'], { input: input.join('\n') })
      expect(many).to.include({ code: 0, err: '' })
      expect(many.out).to.include('revoked 500, refused 0')
      expect(await ruleOf('many-499')).to.not.equal(null)
    })

    it('says nothing of repeating where a file is refused before anything was begun', async () => {
      for (const command of ['revoke', 'register']) {
        const ran = await knell([command, '--from', file('odd.csv', 'subb,exp\nx,+1h\n')])
        expect(ran).to.include({ code: 2, out: '' })
        expect(ran.err).to.match(/^The file has a column "subb"; known are .*\n$/)
      }
    })

    it('has one effect per line when a run is repeated under its id', async () => {
      const lines = file(
        'run.ndjson',
        '{"match":{"sub":"once"},"at":4e9}\n'.replace('4e9', String(now() + 9000)),
      )
      const { run } = json(await knell(['revoke', '--from', lines, '--json']))
      expect((await knell(['revoke', '--from', lines, '--run', String(run)])).code).to.equal(0)
      const { schedules } = json(await knell(['schedule', 'ls', '--json']))
      const same = (schedules as { match: { sub?: string } }[]).filter(
        ({ match }) => match.sub === 'once',
      )
      expect(same).to.have.length(1)
    })

    it('stops at the first refusal where it is told to, or by Ctrl-C, and says how to go on', async () => {
      const text = '{"match":{"sub":"s-1"}}\nnonsense\n' + '{"match":{"sub":"s-3"}}\n'.repeat(500)
      const stopped = await knell([
        'revoke',
        '--from',
        file('stop.ndjson', text),
        '--on-error',
        'stop',
        '--concurrency',
        '1',
      ])
      expect(stopped.code).to.equal(1)
      expect(stopped.out).to.include('revoked 1, refused 1')
      expect(stopped.err)
        .to.match(/line 2: unreadable/)
        .and.match(/--run [0-9a-z]+-[0-9a-f]+/)
      // A pipe that stays open has no end.
      const ran = await knell(['revoke', '--from', '-'], {
        input: '{"match":{"sub":"s-4"}}\nnonsense\n',
        isOpen: true,
        onOutput: (output, child) => void (output.includes('line 2') && child.kill('SIGINT')),
      })
      expect(ran.code).to.equal(130)
      expect(ran.out).to.match(/^revoked [01], refused 1/)
      expect(ran.err).to.include('not complete')
    })

    it('registers every line, and lists the bad ones by their lines', async () => {
      const good = (i: number): string => `b-${i},bea,+15m`
      const rows = Array.from({ length: 4500 }, (_, i) => (i % 1000 === 7 ? ',bea,+15m' : good(i)))
      const csv = file('tokens.csv', `jti,sub,exp\n${rows.join('\n')}\n`)
      const ran = await knell(['register', '--from', csv, '--json'])
      expect(ran.code).to.equal(1)
      expect(JSON.parse(ran.out)).to.include({ done: 4495, refused: 5, complete: true })
      const lines = [...ran.err.matchAll(/^line (\d+): /gm)].map(([, line]) => Number(line))
      expect(lines.sort((a, b) => a - b)).to.deep.equal([9, 1009, 2009, 3009, 4009])
      const dry = json(await knell(['revoke', '--sub', 'bea', '--dry-run', '--json']))
      expect(dry['hits']).to.deep.include({ tokens: 4495 })
    })
  })

  describe('when something is wrong', () => {
    it('says what the API says, as text or as JSON, and never the key', async () => {
      const reader = { KNELL_API_KEY: 'reader0123456789' }
      const refused = await knell(['revoke', '--sub', 'x'], { env: reader })
      expect(refused).to.include({ code: 1, out: '' })
      expect(refused.err)
        .to.match(/^forbidden: .*revocations:write/)
        .and.not.include('reader0123456789')
      const problem = await knell(['revoke', '--sub', 'x', '--json'], { env: reader })
      expect(JSON.parse(problem.err)).to.include({ code: 'forbidden', status: 403 })
      const warned = await knell(['status', '--key', system.apiKey], {
        env: { KNELL_API_KEY: 'other' },
      })
      expect(warned.code).to.equal(0)
      expect(warned.err).to.include('--key').and.not.include(system.apiKey)
      const path = file('key', `${system.apiKey}\n`)
      const keyed = await knell(['subscribers', '--key-file', path], {
        env: { KNELL_API_KEY: 'wrong' },
      })
      expect(keyed).to.include({ code: 0, err: '' })
    })

    it('tells a wrong command line, an absent notifier, a foreign server and bad settings apart', async () => {
      const codes: (readonly [number, string[], RegExp, Record<string, string>?])[] = [
        [2, ['revok'], /Did you mean revoke/],
        [2, ['revoke'], /Say of whom/],
        [2, ['revoke', '--sub', 'a', '--at', 'soon'], /"soon" is no time/],
        [2, ['hold', '--sub', 'a'], /--review-by/],
        [2, ['status', '--tenant', 'no tenant'], /no name of a tenant/],
        [2, ['tail'], /AMQP_URL/],
        [5, ['status', '--url', 'http://127.0.0.1:1'], /does not answer/],
        [5, ['tail'], /RabbitMQ/, { AMQP_URL: 'amqp://127.0.0.1:1' }],
        [78, ['config', 'print'], /- AMQP_URL: expected.*\n(.*\n)*- SHARDS: /, { SHARDS: 'x' }],
        [78, ['notifier'], /- REDIS_URL/],
        [0, ['--help'], /^$/],
        [0, ['revoke', '--help'], /^$/],
        [0, ['--version'], /^$/],
      ]
      await Promise.all(
        codes.map(async ([code, args, says, more = {}]) => {
          const ran = await knell(args, { env: more })
          expect({ args, code: ran.code }).to.deep.equal({ args, code })
          expect(ran.err, args.join(' ')).to.match(says)
        }),
      )
      const foreign = createServer((_, response) =>
        response.writeHead(302, { location: '/x' }).end(),
      )
      await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve))
      const url = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`
      const ran = await knell(['subscribers'], { env: { KNELL_URL: url } })
      foreign.close()
      expect(ran.code).to.equal(1)
      expect(ran.err).to.include("nothing of Knell's").and.include('correct --url')
    })

    it('shows settings with their secrets masked', async () => {
      const settings = {
        AMQP_URL: 'amqp://u:hunter2@h',
        REDIS_URL: 'redis://:hunter2@h',
        API_KEYS: 'a=hunter2hunter2hunter2:feed:read@shop',
        TENANTS_FILE: file('tenants.json', '{"shop":{}}'),
      }
      const ran = await knell(['config', 'print', 'poller'], { env: settings })
      expect(ran.code, ran.err).to.equal(0)
      expect(ran.out).to.not.include('hunter2')
      expect(ran.out).to.match(/AMQP_URL +amqp:\/\/\*\*\*@h +environment/)
      expect(ran.out)
        .to.match(/PORT +7071 +default/)
        .and.match(/a +feed:read +shop/)
    })
  })

  describe('that follows events', () => {
    it('shows those that are asked for, as services hear them', async () => {
      const args = ['tail', '--json', '--sub', 'tess', '--kind', 'revoked', '--limit', '1']
      let isTold = false
      const ran = await knell(args, {
        env: { AMQP_URL: String(system.env['AMQP_URL']), NAMESPACE: system.namespace },
        onOutput(text) {
          if (isTold || !text.includes('Listening')) return
          isTold = true
          void (async () => {
            await knell(['hold', '--sub', 'tess', '--review-by', '+1h', '--outcome', 'release'])
            await knell(['revoke', '--sub', 'tom'])
            await knell(['revoke', '--sub', 'tess', '--reason', 'breach'])
          })()
        },
      })
      expect(ran.code).to.equal(0)
      const event = JSON.parse(ran.out) as Record<string, unknown>
      expect(event).to.include({ kind: 'revoked', tenant: 'default' })
      expect(event['event']).to.deep.include({ match: { sub: 'tess' }, reason: 'breach' })
    })

    it('ends quietly when its reader has seen enough, and with 130 by Ctrl-C', async () => {
      const settings = {
        ...env,
        AMQP_URL: String(system.env['AMQP_URL']),
        NAMESPACE: system.namespace,
        NODE: process.execPath,
        KNELL: knellFile,
      }
      const interrupted = await knell(['tail'], {
        env: settings,
        onOutput: (text, child) => void (text.includes('Listening') && child.kill('SIGINT')),
      })
      expect([interrupted.code, interrupted.out]).to.deep.equal([130, ''])
      let isTold = false
      const piped = await runProgram('sh', ['-c', '"$NODE" "$KNELL" tail | head -n 1; echo over'], {
        env: settings,
        onOutput(text) {
          if (isTold || !text.includes('Listening')) return
          isTold = true
          void (async () => {
            for (let i = 0; i < 3; i++) await knell(['revoke', '--sub', `pipe-${i}`])
          })()
        },
      })
      expect(piped.out).to.match(/revoked {3}sub=pipe-0.*\nover\n$/)
      expect(piped.err).to.not.include('EPIPE')
    })
  })

  it('shows how Knell is', async () => {
    const ran = await knell(['status'])
    expect(ran).to.include({ code: 0, err: '' })
    expect(ran.out)
      .to.match(/store +ok/)
      .and.match(/RabbitMQ +ok/)
  })

  it('finds a newer call missing on a process that does not offer it', async () => {
    const poller = await system.start('poller', { API_KEYS: `test=${system.apiKey}:*` })
    const ran = await knell(['schedule', 'ls'], { env: { KNELL_URL: poller.url } })
    expect(ran.code).to.equal(1)
    expect(ran.err).to.include('does not offer GET /v1/schedules: this is a poller')
  })
})
