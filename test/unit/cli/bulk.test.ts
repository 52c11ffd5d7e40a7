import { expect } from 'chai'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRecords, type FileRecord, type Format } from '../../../shared/cli/bulk/read-records.ts'
import { RejectsFile, withoutToken } from '../../../shared/cli/bulk/rejects-file.ts'
import { checkRevocationHeader, revocationRow } from '../../../shared/cli/bulk/revocation-rows.ts'
import {
  persist,
  runBulk,
  type BulkOptions,
  type Outcome,
} from '../../../shared/cli/bulk/run-bulk.ts'
import { runOf } from '../../../shared/cli/bulk/run-id.ts'
import { checkTokenHeader, tokenRow } from '../../../shared/cli/bulk/token-rows.ts'
import { ApiProblem } from '../../../shared/cli/client/api-client.ts'
import { CommandError } from '../../../shared/cli/exit.ts'
import { UsageError } from '../../../shared/cli/usage-error.ts'

const NOW_MS = Date.UTC(2026, 0, 31, 12)
const NOW = NOW_MS / 1000

describe('a file of many lines', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'knell-bulk-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  async function recordsOf(name: string, text: string, format?: Format): Promise<FileRecord[]> {
    const path = join(folder, name)
    writeFileSync(path, text)
    const file = openRecords(path, format, {
      fromRow: revocationRow(NOW_MS),
      checkHeader: checkRevocationHeader,
    })
    expect(file.size).to.equal(Buffer.byteLength(text))
    const found: FileRecord[] = []
    for await (const record of file.records) found.push(record)
    return found
  }

  it('is read as NDJSON, good lines and bad', async () => {
    const found = await recordsOf(
      'a.ndjson',
      '{"match":{"sub":"a"}}\n\n{\n  \n{"match":{"sub":"b"}}',
    )
    expect(found).to.deep.equal([
      { line: 1, value: { match: { sub: 'a' } } },
      { line: 3, problem: 'the line is not JSON' },
      { line: 5, value: { match: { sub: 'b' } } },
    ])
  })

  it('loses no claim on the way, whatever it is called', async () => {
    const text = 'sub,claim.__proto__,except.__proto__\nalice,x,y\n'
    const [record] = await recordsOf('p.csv', text)
    const { match, except } = (record as { value: { match: object; except: object } }).value
    expect(Object.entries(match)).to.deep.equal([
      ['sub', 'alice'],
      ['__proto__', 'x'],
    ])
    expect(Object.entries(except)).to.deep.equal([['__proto__', 'y']])
  })

  it('is refused in plain words where it is no CSV, or not UTF-8', async () => {
    const refusal = async (bytes: Uint8Array): Promise<unknown> => {
      try {
        const path = join(folder, 'n.csv')
        writeFileSync(path, bytes)
        const csv = { fromRow: revocationRow(NOW_MS), checkHeader: checkRevocationHeader }
        for await (const record of openRecords(path, 'csv', csv).records) void record
        return undefined
      } catch (error) {
        return error
      }
    }
    for (const [bytes, words] of [
      [Buffer.from('sub\na"b"\n'), 'The file is no CSV'],
      [Buffer.from('sub\n"a\n'), 'The file is no CSV'],
      [Buffer.from([0x73, 0x75, 0x62, 0x0a, 0xe9, 0x0a]), 'The file is not UTF-8'],
    ] as const) {
      const error = await refusal(bytes)
      expect(error).to.be.instanceOf(CommandError)
      expect((error as CommandError).message).to.include(words)
    }
  })

  it('is refused in a row that has one claim twice', async () => {
    expect(await recordsOf('t.csv', 'sub,claim.sub\nalice,bob\n')).to.deep.equal([
      { line: 2, problem: 'the row has the claim "sub" twice' },
    ])
    const row = tokenRow(NOW_MS)
    expect(() =>
      row(
        new Map([
          ['jti', 'a'],
          ['claim.jti', 'b'],
        ]),
      ),
    ).to.throw('"jti" twice')
  })

  it('is read as CSV by its header, an empty cell being absent', async () => {
    const text =
      '\ufeffsub, claim.n ,except.sid,reason,issuedBefore,at,note\r\n' +
      'alice,,s-1,logout,any,,"a, ""quoted"" note"\r\n' +
      'bob,5,,,1000,+1h,\n\n' +
      ',,,logout,,,\n' +
      'carol,1\n' +
      'dave,,,,soon,,\n'
    expect(await recordsOf('b.csv', text)).to.deep.equal([
      {
        line: 2,
        value: {
          match: { sub: 'alice' },
          except: { sid: 's-1' },
          reason: 'logout',
          issuedBefore: null,
          note: 'a, "quoted" note',
        },
      },
      { line: 3, value: { match: { sub: 'bob', n: '5' }, issuedBefore: 1000, at: NOW + 3600 } },
      { line: 5, problem: 'the row names no claim' },
      { line: 6, problem: 'the row has 2 cells, the header 7' },
      {
        line: 7,
        problem:
          '"soon" is no time: write now, +2h, -15m, seconds since 1970, or 2026-01-31T12:00:00Z.',
      },
    ])
  })

  const rejected: readonly (readonly [what: string, header: string])[] = [
    ['a column that nobody knows', 'sub,clientid'],
    ['a column twice', 'sub,sub'],
    ['a claim without a name', 'claim.'],
    ['an empty name', 'sub,'],
  ]
  for (const [what, header] of rejected) {
    it(`is refused with ${what}`, async () => {
      const error = await recordsOf('c.csv', `${header}\na,b\n`).catch((thrown: unknown) => thrown)
      expect(error).to.be.instanceOf(UsageError)
    })
  }

  it('is refused where it is no CSV, or of no known format, or not there', async () => {
    const error = await recordsOf('d.csv', 'sub\n"a\n').catch((thrown: unknown) => thrown)
    expect(error).to.be.instanceOf(CommandError)
    const csv = { fromRow: revocationRow(0), checkHeader: checkRevocationHeader }
    expect(() => openRecords(join(folder, 'x.txt'), undefined, csv)).to.throw(
      UsageError,
      '--format',
    )
    expect(() => openRecords(join(folder, 'none.csv'), undefined, csv)).to.throw(
      UsageError,
      'ENOENT',
    )
  })

  it('takes a token, or claims, of a row to register', () => {
    const row = tokenRow(NOW_MS)
    expect(
      row(
        new Map([
          ['jti', 't'],
          ['exp', '+15m'],
          ['level', '5'],
        ]),
      ),
    ).to.deep.equal({
      claims: { jti: 't', exp: NOW + 900, level: '5' },
    })
    expect(
      row(
        new Map([
          ['token', 'a.b.c'],
          ['tenant', 'shop'],
        ]),
      ),
    ).to.deep.equal({
      token: 'a.b.c',
      tenant: 'shop',
    })
    expect(() => row(new Map([['tenant', 'shop']]))).to.throw('empty')
    expect(() =>
      row(
        new Map([
          ['token', 'a'],
          ['jti', 'b'],
        ]),
      ),
    ).to.throw('token and claims')
    expect(() => checkTokenHeader(['jti', 'bad name'])).to.throw(UsageError)
    expect(() => checkTokenHeader(['jti', 'subb', 'exp'])).to.throw(UsageError, '"subb"')
    expect(() => checkTokenHeader(['jti', 'claim.role', 'exp', 'tenant'])).to.not.throw()
    expect(tokenRow(0)(new Map([['claim.role', 'admin']]))).to.deep.equal({
      claims: { role: 'admin' },
    })
  })

  it('has its rejects kept for its owner alone, and no token among them', () => {
    const path = join(folder, 'rejects.ndjson')
    const file = new RejectsFile(path)
    const item = withoutToken({ token: 'a.b.c', reason: 'logout' })
    file.add({ line: 1, code: 'token_expired', detail: 'gone', item })
    file.close(1)
    expect(JSON.parse(readFileSync(path, 'utf8'))).to.deep.equal({
      line: 1,
      code: 'token_expired',
      detail: 'gone',
      item: { reason: 'logout' },
    })
    expect(statSync(path).mode & 0o077).to.equal(0)
  })
})

describe('a bulk run', () => {
  async function* numbers(most: number): AsyncGenerator<number> {
    for (let i = 1; i <= most; i++) yield await Promise.resolve(i)
  }
  const run = (
    most: number,
    work: (piece: number) => Promise<Outcome>,
    more: Partial<BulkOptions> = {},
  ) =>
    runBulk(numbers(most), work, {
      concurrency: 3,
      onError: 'continue',
      signal: new AbortController().signal,
      onProgress: () => {},
      onReject: () => {},
      ...more,
    })
  const good: Outcome = { done: 1, rejects: [] }
  const bad = (line: number): Outcome => ({ done: 0, rejects: [{ line, code: 'x', detail: 'y' }] })

  for (const most of [0, 1, 3, 4, 100]) {
    it(`does each of ${most} pieces once, and no more at once than it may`, async () => {
      const seen: number[] = []
      let now = 0
      let peak = 0
      const result = await run(most, async (piece) => {
        now += 1
        peak = Math.max(peak, now)
        seen.push(piece)
        await new Promise(setImmediate)
        now -= 1
        return good
      })
      expect(result).to.deep.equal({ done: most, refused: 0, complete: true })
      expect(seen).to.have.length(most)
      expect(new Set(seen).size).to.equal(most)
      expect(peak).to.be.at.most(3)
    })
  }

  it('goes on after a refusal, or stops, as it is told', async () => {
    const work = (piece: number): Promise<Outcome> => Promise.resolve(piece === 5 ? bad(5) : good)
    expect(await run(20, work)).to.deep.equal({ done: 19, refused: 1, complete: true })
    const stopped = await run(20, work, { onError: 'stop', concurrency: 1 })
    expect(stopped).to.deep.equal({ done: 4, refused: 1, complete: false })
  })

  it('finishes what is under way when it is interrupted', async () => {
    const controller = new AbortController()
    const result = await run(
      20,
      async (piece) => {
        if (piece === 4) controller.abort()
        await new Promise(setImmediate)
        return good
      },
      { signal: controller.signal },
    )
    expect(result.complete).to.equal(false)
    expect(result.done).to.be.within(4, 6)
  })

  it('fails with what no line is to blame for, once what is under way is done', async () => {
    let finished = 0
    const error = await run(20, async (piece) => {
      if (piece === 2) throw new Error('the store is gone')
      await new Promise(setImmediate)
      finished += 1
      return good
    }).catch((thrown: unknown) => thrown)
    expect((error as Error).message).to.equal('the store is gone')
    expect(finished).to.be.at.most(3)
  })

  const problem = (status: number, code: string): ApiProblem =>
    new ApiProblem(status, code, { code }, 1)

  it('tries again what may succeed later, and nothing else', async () => {
    const { signal } = new AbortController()
    let tries = 0
    const found = await persist(async () => {
      tries += 1
      if (tries < 3) throw problem(429, 'too_many_requests')
      return Promise.resolve('done')
    }, signal)
    expect([found, tries]).to.deep.equal(['done', 3])
    for (const error of [
      problem(422, 'too_many_cutoffs'),
      problem(403, 'forbidden'),
      new Error('x'),
    ]) {
      tries = 0
      const thrown = await persist(() => {
        tries += 1
        return Promise.reject(error)
      }, signal).catch((caught: unknown) => caught)
      expect([thrown, tries]).to.deep.equal([error, 1])
    }
  })

  it('can be repeated under its id, as of when it was begun', () => {
    const first = runOf(undefined, NOW_MS)
    expect(runOf(first.id, NOW_MS + 60_000)).to.deep.equal(first)
    expect(runOf(undefined, NOW_MS).id).to.not.equal(first.id)
    for (const id of ['', 'x', `${first.id}0`]) expect(() => runOf(id, 0)).to.throw(UsageError)
  })
})
