import { expect } from 'chai'
import { isWanted, toAuditText, type AuditRecord } from '../../../shared/domain/audit-record.ts'
import { AuditTally } from '../../../shared/domain/audit-tally.ts'

describe('the text of an audit act', () => {
  const act = {
    action: 'revoke',
    who: { key: 'support' },
    from: { address: '::1', via: 'api' },
  } as const
  const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl_-'

  it('holds no token and not the secret of its caller, wherever they were put', () => {
    const secret = 'a"secret\\0123456789'
    const text = toAuditText(
      { ...act, match: { sub: jwt }, note: `Bearer ${jwt}, by ${secret}`, details: { id: jwt } },
      secret,
    )
    expect(text).to.not.include('eyJ').and.not.include('0123456789')
    expect(JSON.parse(text)).to.deep.include({
      match: { sub: '[token]' },
      note: 'Bearer [token], by [secret]',
    })
  })

  it('holds not the secret of its caller where it holds nothing else that has to go', () => {
    for (const secret of ['a"secret\\0123456789', '0123456789abcdef', '0123.4567/89~{}']) {
      const text = toAuditText({ ...act, note: `it was ${secret}` }, secret)
      expect(JSON.parse(text)).to.deep.include({ note: 'it was [secret]' })
    }
  })

  const base64url = (text: string): string => Buffer.from(text).toString('base64url')
  const headers = [
    '{"alg":"ES256"}',
    '{ "alg":"ES256"}',
    '{\n  "alg": "ES256"\n}\n',
    '{\r\n"alg":"ES256"}',
    '\t{"alg":"ES256","kid":"ü"}',
    ' \n { "alg":"ES256" } ',
  ]
  for (const header of headers) {
    it(`holds no token whose header is ${JSON.stringify(header)}, whatever stands beside it`, () => {
      const parts = [base64url(header), base64url('{ "sub":"alice"}'), 'c2lnbmF0dXJl']
      const token = parts.join('.')
      const texts = ['', 'a', 'ab', 'abc', '1.2.3.', 'see\n', 'x-', '"'].flatMap((before) => [
        `${before}${token}`,
        `${before}${token}.`,
        `${before}${token}\n${token}, and ${token}`,
      ])
      for (const note of texts) {
        const text = toAuditText({ ...act, note, who: { key: 'k', by: note } })
        for (const part of parts) expect(text, note).to.not.include(part)
        expect(text).to.include('[token]')
      }
    })
  }

  it('takes no longer for a text that is made to be slow', () => {
    const brace = base64url('{ '.repeat(300) + '}')
    const started = performance.now()
    for (const note of [`${brace}.`.repeat(2000), 'a'.repeat(1e6), '.'.repeat(1e6)]) {
      expect(JSON.parse(toAuditText({ ...act, note }))).to.deep.include({ note })
    }
    expect(performance.now() - started).to.be.below(10_000)
  })

  it('keeps what only looks a little like one', () => {
    const note = 'eyJ is how they begin; see 1.2.3, knell.example.com, v1.20.3-rc.1 and eyJfoo'
    expect(JSON.parse(toAuditText({ ...act, note }, ''))).to.deep.equal({ ...act, note })
  })
})

describe('an audit filter', () => {
  const record: AuditRecord = {
    id: '1-0.0',
    at: 1,
    tenant: 'default',
    action: 'revoke',
    who: { key: 'support', by: 'carla' },
    from: { address: null, via: 'api' },
    match: { sub: 'alice', n: 5 },
    result: { ok: true },
  }
  const rows: [Parameters<typeof isWanted>[1], boolean][] = [
    [{}, true],
    [{ actions: new Set(['hold', 'revoke']) }, true],
    [{ actions: new Set(['hold']) }, false],
    [{ who: 'support' }, true],
    [{ who: 'carla' }, true],
    [{ who: 'alice' }, false],
    [{ claims: { sub: 'alice', n: '5' } }, true],
    [{ claims: { sub: 'alic' } }, false],
    [{ claims: { sid: 'alice' } }, false],
  ]
  for (const [filter, wanted] of rows) {
    it(`lets ${wanted ? 'through' : 'nothing through'} with ${JSON.stringify({ ...filter, actions: [...(filter.actions ?? [])] })}`, () => {
      expect(isWanted(record, filter)).to.equal(wanted)
    })
  }
})

describe('a tally of audited acts', () => {
  const tallyOf = (maxKinds = 2): AuditTally<string> =>
    new AuditTally({
      windowMs: 1000,
      each: 2,
      eachOwner: 3,
      maxKinds,
      rest: (of) => `rest of ${of}`,
    })

  it('lets the first of a kind through in each window, and sums up the others', () => {
    const tally = tallyOf()
    const add = (now: number): boolean => tally.add('k', 'a', 'fact', { registered: 3 }, now)
    expect([0, 1, 2, 3].map(add)).to.deep.equal([true, true, false, false])
    expect(tally.take(999)).to.deep.equal([])
    expect(tally.take(1000)).to.deep.equal([
      { facts: 'fact', sums: { count: 2, registered: 6 }, since: 0 },
    ])
    expect(tally.isCounting).to.equal(false)
    expect(add(1001)).to.equal(true)
    expect(tally.take(Infinity), 'nothing was summed up').to.deep.equal([])
  })

  it('counts what is of too many kinds as one, for each owner apart', () => {
    const tally = tallyOf()
    const own = ['a', 'b', 'c', 'd'].map((kind) => tally.add('k', kind, kind, {}, 0))
    expect(own).to.deep.equal([true, true, false, false])
    expect(tally.add('l', 'c', 'c of l', {}, 0)).to.equal(true)
    const rest = { facts: 'rest of c', sums: { count: 2 }, since: 0 }
    expect(tally.take(Infinity)).to.deep.equal([rest])
  })

  it('lets only so many of one owner through, of however many kinds, in each window', () => {
    const tally = tallyOf(9)
    const add = (now: number): boolean[] =>
      ['a', 'b', 'c', 'd', 'e'].map((kind) => tally.add('k', kind, kind, {}, now))
    expect(add(0)).to.deep.equal([true, true, true, false, false])
    expect(tally.take(1000).map(({ facts }) => facts)).to.deep.equal(['d', 'e'])
    expect(add(1000)).to.deep.equal([true, true, true, false, false])
  })
})
