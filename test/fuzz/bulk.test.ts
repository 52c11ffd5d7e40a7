import fc from 'fast-check'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { openRecords, type Format } from '../../shared/cli/bulk/read-records.ts'
import { checkRevocationHeader, revocationRow } from '../../shared/cli/bulk/revocation-rows.ts'
import { checkTokenHeader, tokenRow } from '../../shared/cli/bulk/token-rows.ts'
import { CommandError, exitCodes } from '../../shared/cli/exit.ts'
import { UsageError } from '../../shared/cli/usage-error.ts'
import { expectNoPollution, expectOwnPrototypes } from '../support/fuzz/expectations.ts'
import { fuzzAsync } from '../support/fuzz/fuzz.ts'
import { mutated } from '../support/fuzz/mutator.ts'
import { runKnell } from '../support/run-knell.ts'

const NOW_MS = 1_800_000_000_000
const kinds = {
  revocations: { fromRow: revocationRow(NOW_MS), checkHeader: checkRevocationHeader },
  tokens: { fromRow: tokenRow(NOW_MS), checkHeader: checkTokenHeader },
}
const corpora: Readonly<Record<Format, readonly string[]>> = {
  ndjson: ['{"match":{"sub":"a"}}\n\n{"token":"x"}\n', '{"claims":{"jti":"j","exp":5}}'],
  csv: [
    '\ufeffsub, claim.n ,except.sid,reason,issuedBefore,at,note\r\nalice,,s-1,logout,any,,"a, ""b"""\n',
    'jti,sub,exp,claim.__proto__,tenant\nj,alice,+2h,x,default\n,,\n',
    'token\nx.y.z\n"\n',
  ],
}

describe('the files and arguments of the command line, fuzzed', function () {
  this.timeout(0)
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'knell-fuzz-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  for (const [what, csv] of Object.entries(kinds)) {
    for (const format of ['ndjson', 'csv'] as const) {
      it(`${what} in ${format} are read line by line, or refused with what is wrong`, async () => {
        const path = join(folder, `file.${format}`)
        const check = async (bytes: Buffer): Promise<void> => {
          writeFileSync(path, bytes)
          const file = openRecords(path, format, csv)
          try {
            for await (const record of file.records) {
              if ('value' in record) expectOwnPrototypes(record.value)
              else expect(record.problem).to.be.a('string')
            }
          } catch (error) {
            if (!(error instanceof UsageError || error instanceof CommandError)) throw error
          } finally {
            file.close()
            expectNoPollution()
          }
        }
        const inputs = mutated(corpora[format])
        await fuzzAsync(`${what} in ${format}`, inputs, check, { runs: 150, boundMs: 20_000 })
      })
    }
  }

  it('a command ends with one of its exit codes, and tells no stack', async () => {
    const word = fc.oneof(
      fc.constantFrom('--sub', '--json', '--claim', '--hold', '--at', '--limit', '--tenant'),
      fc.constantFrom('--url', '--file', '-', '--', '--help', '--token', 'x=y', '5s', '__proto__'),
      mutated(['alice', 'sub=alice', 'http://127.0.0.1:1', '+2h', '{"a":1}'], { most: 2 }).map(
        // No argument of a process can hold NUL, or be longer than the system allows.
        (bytes) => bytes.toString('utf8').replaceAll('\0', '').slice(0, 5000),
      ),
    )
    const command = fc.constantFrom(
      'revoke',
      'hold',
      'release',
      'restore',
      'schedule',
      'register',
      'check',
      'keys',
      'status',
      'subscribers',
      'queues',
      'audit',
      'sweep',
      'dead',
      'config',
      'topology',
      'nothing',
    )
    const lines = fc.array(fc.tuple(command, fc.array(word, { maxLength: 5 })), {
      minLength: 4,
      maxLength: 4,
    })
    const known: readonly unknown[] = Object.values(exitCodes)
    const check = async (all: readonly [string, string[]][]): Promise<void> => {
      await Promise.all(
        all.map(async ([name, words]) => {
          const env = { KNELL_URL: 'http://127.0.0.1:1', KNELL_API_KEY: 'k' }
          const { code, err } = await runKnell([name, ...words], { env, cwd: folder })
          const told = `${name} ${words.map((each) => JSON.stringify(each.slice(0, 200))).join(' ')}: ${code} ${err.slice(0, 1000)}`
          expect(known, told).to.include(code)
          expect(err, told).to.not.match(/^\s+at .*\.(?:ts|js|mjs):\d+/m)
        }),
      )
    }
    await fuzzAsync('the command line', lines, check, { runs: 5, boundMs: 120_000 })
  })
})
