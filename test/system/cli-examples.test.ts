import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { examplesOf } from '../../shared/cli/examples.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import { createProgram } from '../../shared/cli/program.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { leavesOf } from '../support/cli-reference.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuer } from '../support/issuer.ts'
import { knellFile, runProgram, type Ran } from '../support/run-knell.ts'
import { call, createSystem, now, type TestSystem } from '../support/system.ts'

interface Known {
  /** The name of the command below knell, as `schedule revoke`. */
  readonly name: string
  readonly line: string
}

const leaves = leavesOf(createProgram())
const examples: readonly Known[] = leaves.flatMap(([name, command]) =>
  examplesOf(command).map(([line]) => ({ name, line })),
)

/** What goes on until it is stopped, what it says once it runs, and the code it ends with. */
const endless: readonly (readonly [
  line: RegExp,
  says: RegExp,
  signal: NodeJS.Signals,
  code: number,
])[] = [
  [/^knell tail( --kind.*)?$/, /Listening/, 'SIGINT', 130],
  [/knell up$/, /Ctrl-C stops everything/, 'SIGINT', 0],
  [/knell (notifier|poller|agent)( --.*)?$/, /"msg":"listening"/, 'SIGTERM', 0],
]

/** Codes other than 0 that are an answer. */
const answers: readonly (readonly [line: RegExp, codes: readonly number[]])[] = [
  [/^(.*\| )?knell check /, [0, 3]],
  [/^knell doctor --json --strict$/, [0, 1]],
]

describe('the examples of every knell --help', function () {
  this.timeout(120_000)
  const issuer = createIssuer()
  let system: TestSystem
  let folder: string
  let env: Record<string, string>
  const running = new Map<string, Promise<Ran>>()

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'knell-examples-'))
    system = createSystem({
      ISSUER: issuer.verify.issuer,
      JWT_KEYS: JSON.stringify(issuer.verify.keys),
      ISSUER_ENABLED: '1',
      KEY_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    })
    const [notifier] = await Promise.all([system.start('notifier'), system.start('poller')])
    env = { ...files(folder), ...system.env, ...(await placeholders(notifier)) }
    // Commands of one name build on each other; those of different names do not.
    const limit = pLimit(3)
    for (const group of new Set(examples.map(({ name }) => name.split(' ')[0]))) {
      const own = examples.filter(({ name }) => name.split(' ')[0] === group)
      let before: Promise<unknown> = Promise.resolve()
      const done = limit(async () => {
        for (const { line } of own) {
          before = run(line)
          running.set(line, before as Promise<Ran>)
          await before.catch(() => {})
        }
      })
      void done
    }
  })
  after(async () => {
    await system.stop()
    rmSync(folder, { recursive: true })
  })

  /** The files that examples read, and a `knell` on the path. */
  function files(dir: string): Record<string, string> {
    const bin = join(dir, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'knell'), `#!/bin/sh\nexec "${process.execPath}" "${knellFile}" "$@"\n`)
    chmodSync(join(bin, 'knell'), 0o755)
    writeFileSync(join(dir, 'leavers.csv'), 'sub,reason,note\numa,deletion,left\nvic,,\n')
    writeFileSync(join(dir, 'leavers.ndjson'), '{"match":{"sub":"wes"}}\n')
    writeFileSync(join(dir, 'tokens.csv'), 'jti,sub,exp\nc-1,uma,+15m\nc-2,vic,+15m\n')
    const secret = { kty: 'oct', k: randomBytes(32).toString('base64url') }
    writeFileSync(join(dir, 'secret.jwk'), JSON.stringify(secret))
    const claims = { jti: 'n-1', sub: 'wes', exp: now() + 900 }
    writeFileSync(join(dir, 'tokens.ndjson'), `${JSON.stringify({ claims })}\n`)
    return { PATH: `${bin}:${process.env['PATH']}` }
  }

  /** What an operator would have at hand: ids of what was done before, tokens, a dead letter. */
  async function placeholders(notifier: KnellProcess): Promise<Record<string, string>> {
    const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const answer = await call(notifier, system.apiKey, path, body)
      expect(answer.status, JSON.stringify(answer.body)).to.equal(201)
      return answer.body
    }
    const orders = await system.subscribe({ service: 'orders' })
    await orders.handle(['revoked'], () => Promise.reject(new Error('it is broken')), {
      maxAttempts: 1,
    })
    const made = await post('/v1/revocations', { match: { sub: 'carol' } })
    const at = now() + 3600
    const scheduled = await post('/v1/revocations', { match: { sub: 'grace' }, at })
    await post('/v1/revocations', { match: { kid: '2026-01' } })
    await post('/v1/sessions', { sub: 'alice', client_id: 'web', aud: 'api' })
    const { body: ring } = await call(notifier, system.apiKey, '/v1/keys')
    const [{ kid }] = ring['keys'] as [{ kid: string }]
    const hold = { reviewBy: at, outcome: 'release' }
    await post('/v1/revocations', { match: { sub: 'erin' }, hold })
    const letter = await eventually(
      async () => {
        const { body } = await call(notifier, system.apiKey, '/v1/dead?service=orders')
        return (body['dead'] as { key: string }[] | undefined)?.[0]?.key
      },
      { what: 'a dead letter', timeoutMs: 20_000 },
    )
    return {
      KNELL_URL: notifier.url,
      KNELL_API_KEY: system.apiKey,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'info',
      LISTEN: `127.0.0.1:${await freePort()}`,
      HOME: folder,
      ID: String(made['id']),
      SCHEDULE: String(scheduled['id']),
      SID: 's-1',
      KID: kid,
      JTI: 't-9',
      TOKEN: issuer.token('alice'),
      NOW: String(now()),
      INSTANCE: orders.instance,
      LETTER: String(letter),
    }
  }

  function run(line: string): Promise<Ran> {
    const [, says, signal] = endless.find(([pattern]) => pattern.test(line)) ?? []
    // The program itself is to get the signal, and not a shell around it.
    const text = says === undefined ? line : `exec env ${line}`
    let isSent = false
    return runProgram('sh', ['-c', text], {
      env,
      cwd: folder,
      onOutput(output, child) {
        if (isSent || says === undefined || !says.test(output)) return
        isSent = true
        child.kill(signal)
      },
    })
  }

  it('stand below every command', () => {
    for (const [name, command] of leaves) {
      expect(examplesOf(command), name).to.not.deep.equal([])
    }
  })

  for (const { line } of examples) {
    it(`runs: ${line}`, async () => {
      const begun = await eventually(
        () => (running.has(line) ? { ran: running.get(line) } : undefined),
        { what: line, timeoutMs: 110_000 },
      )
      const ran = (await begun?.ran) as Ran
      const [, , , code] = endless.find(([pattern]) => pattern.test(line)) ?? []
      const codes = answers.find(([pattern]) => pattern.test(line))?.[1] ?? [code ?? 0]
      expect(codes, `${ran.out}${ran.err}`).to.include(ran.code)
    })
  }
})
