import { expect } from 'chai'
import fc from 'fast-check'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { createRedis } from '../../shared/store/redis.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import { fuzzAsync } from '../support/fuzz/fuzz.ts'
import { createFuzzedSystem, type FuzzedSystem } from '../support/fuzz/fuzzed-system.ts'
import { expectCoded } from '../support/fuzz/http-expectations.ts'
import { requestsOf } from '../support/fuzz/http-inputs.ts'
import { mutated } from '../support/fuzz/mutator.ts'
import { exchange, toBytes } from '../support/fuzz/raw-http.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { call, now } from '../support/system.ts'

const ROUNDS = 12
/** Calls that read, or change, what a tenant has in the store. */
const CALLS: readonly string[] = [
  'GET /v1/revocations',
  'GET /v1/schedules',
  'GET /v1/snapshot',
  'GET /v1/feed',
  'GET /v1/subscribers',
  'GET /v1/due',
  'GET /v1/audit',
  'GET /v1/keys',
  'GET /v1/overview',
  'GET /v1/recent',
  'GET /v1/sweeps',
  'GET /v1/queues',
  'POST /v1/check',
  'POST /v1/acks',
  'POST /v1/tokens',
  'POST /v1/revocations',
  'POST /v1/sessions',
  'POST /v1/sessions/lookup',
]

describe('what the store holds, corrupted', function () {
  this.timeout(0)
  let system: FuzzedSystem
  let redis: RedisClient
  let processes: KnellProcess[]
  let watcher: Subscriber

  before(async () => {
    // No sweep repairs what a test has just broken.
    system = createFuzzedSystem({ SWEEP_CRON: '0 0 1 1 *' })
    redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    processes = [await system.start('notifier'), await system.start('poller')]
    watcher = await system.follow()
    await fill()
  })
  after(async () => {
    redis?.disconnect()
    await system?.stop()
  })

  /** Something of every kind: rules, a hold, a schedule, tokens, a session, an instance, keys, records. */
  async function fill(): Promise<void> {
    const [notifier] = processes
    if (notifier === undefined) throw new Error('There is no notifier.')
    const post = async (path: string, body: object): Promise<void> => {
      const { status, body: told } = await call(notifier, system.apiKey, path, body)
      expect(status, JSON.stringify(told)).to.be.below(300)
    }
    for (const match of [{ sub: 'a' }, { sub: 'a', client_id: 'c' }, { kid: 'k' }, { jti: 'j' }]) {
      await post('/v1/revocations', { match, except: { sid: 's' } })
    }
    const hold = { reviewBy: now() + 600, outcome: 'revoke' }
    await post('/v1/revocations', { match: { sub: 'h' }, hold })
    await post('/v1/revocations', { match: { sub: 'l' }, at: now() + 600 })
    for (const jti of ['x', 'y', 'z']) {
      await post('/v1/tokens', { claims: { jti, sub: 's', exp: now() + 600 } })
    }
    await post('/v1/sessions', { sub: 'sam', client_id: 'web', aud: 'api' })
    const [acks] = (system.samples['POST /v1/acks'] ?? []).filter(
      ({ body }) => Array.isArray(body) && body.length > 0,
    )
    await post('/v1/acks', acks?.body as object)
  }

  /** Keys of the tenant that no input is meant for stay as they are. */
  async function keysOfSystem(): Promise<string[]> {
    const keys = await redis.keys(`${system.namespace}:*`)
    return keys.filter((key) => !key.includes(':{apart.')).sort()
  }

  /** Changes one value within a key, or puts something of another type in its place. */
  async function corrupt(key: string, at: number, junk: Buffer): Promise<void> {
    const type = await redis.type(key)
    const pick = <T>(all: readonly T[]): T | undefined => all[at % Math.max(all.length, 1)]
    if (at % 7 === 0) await redis.multi().del(key).set(key, junk).exec()
    else if (type === 'string') await redis.set(key, junk)
    else if (type === 'hash') {
      const fields = await redis.hkeys(key)
      await redis.hset(key, pick(fields) ?? 'x', junk)
    } else if (type === 'zset') await redis.zadd(key, 1, junk)
    else if (type === 'stream') await redis.xadd(key, '*', 'b', junk)
  }

  it('is answered with a code, and never stops a process', async () => {
    const requests = CALLS.flatMap((name) => {
      const made = requestsOf(name, system.samples[name] ?? [], system.apiKey)
      return made.map((request) => ({ name, bytes: toBytes(request) }))
    })
    const corpus = [
      '',
      'null',
      '[]',
      '{}',
      '"x"',
      '{"a":1}',
      '1.a-1\n{"match":{}}\n',
      'x y z',
      '\u0001\u0002',
    ]
    const input = fc.tuple(fc.nat(), fc.nat(), mutated(corpus, { most: 2 }))
    const check = async ([which, at, bytes]: readonly [number, number, Buffer]): Promise<void> => {
      const keys = await keysOfSystem()
      const key = keys[which % keys.length] ?? ''
      const junk = unreadable(bytes.subarray(0, 5000))
      const kept = await redis.dumpBuffer(key)
      const ttl = await redis.pttl(key)
      await corrupt(key, at, junk)
      try {
        for (const { port, kind } of processes) {
          await Promise.all(
            requests.map(async ({ name, bytes: asked }) => {
              const what = `${name} of a ${kind}, with ${key} corrupted (${at})`
              expectCoded(
                what,
                { bytes: asked, isWhole: false },
                await exchange(port, asked, 10_000),
              )
            }),
          )
        }
      } catch (error) {
        const faults = processes.flatMap(({ output }) =>
          output.filter((line) => /"level":50\b/.test(line)),
        )
        throw new Error(`${String(error)}\n${faults.slice(-1).join().slice(0, 3000)}`, {
          cause: error,
        })
      } finally {
        await redis.del(key)
        if (kept !== null) await redis.restore(key, Math.max(ttl, 0), kept)
      }
    }
    await fuzzAsync('what the store holds', input, check, { runs: ROUNDS, boundMs: 60_000 })
    // That the store is corrupted is told while it is; only what nobody expected is a fault.
    await system.expectAlive(processes, watcher, /"level":60\b|"msg":"internal"/)
  })
})

/** What reads as JSON might be something that Knell could have written. */
function unreadable(bytes: Buffer): Buffer {
  try {
    JSON.parse(bytes.toString('utf8'))
    return Buffer.concat([Buffer.of(1), bytes])
  } catch {
    return bytes
  }
}
