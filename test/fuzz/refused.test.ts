import { expect } from 'chai'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { createRedis } from '../../shared/store/redis.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from '../support/eventually.ts'
import { fuzzAsync, shown } from '../support/fuzz/fuzz.ts'
import { createFuzzedSystem, type FuzzedSystem } from '../support/fuzz/fuzzed-system.ts'
import { patienceOf } from '../support/fuzz/http-expectations.ts'
import { mutatedRequests, requestsOf, type HttpInput } from '../support/fuzz/http-inputs.ts'
import { exchange } from '../support/fuzz/raw-http.ts'
import { differences, dumpStore } from '../support/fuzz/store-dump.ts'
import { operations } from '../support/openapi.ts'

const ROUNDS = 8
const TRIES = 5

describe('a call that is refused', function () {
  this.timeout(0)
  let system: FuzzedSystem
  let redis: RedisClient
  let notifier: KnellProcess
  let watcher: Subscriber

  before(async () => {
    // Nobody writes but who is asked to: no sweep, and a beat a minute.
    system = createFuzzedSystem({ BEAT: '60s' })
    redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    notifier = await system.start('notifier')
    watcher = await system.follow()
  })
  after(async () => {
    redis?.disconnect()
    await system?.stop()
  })

  for (const [call, operation] of operations) {
    if (call.startsWith('GET ') || !operation['x-served-by'].includes('notifier')) continue
    it(`leaves the store as it was: ${call}`, async () => {
      const requests = requestsOf(call, system.samples[call] ?? [], system.apiKey)
      let refused = 0
      const changesBy = async (input: HttpInput): Promise<string[]> => {
        const before = await quiet()
        const outcome = await exchange(notifier.port, input.bytes, patienceOf(call, input))
        if (typeof outcome === 'string' || outcome.status < 400) return []
        refused += 1
        return differences(before, await dumpStore(redis, system.namespace))
      }
      const check = async (input: HttpInput): Promise<void> => {
        let changed: string[] = []
        // Something else may change just then, such as when the watcher was last heard of, but not each time.
        for (let tries = 0; tries < TRIES; tries++) {
          changed = await changesBy(input)
          if (changed.length === 0) return
        }
        expect(changed, `${changed.join()} by ${shown(input.bytes)}`).to.deep.equal([])
      }
      const inputs = mutatedRequests(requests, operation)
      await fuzzAsync(`${call}, refused`, inputs, check, { runs: ROUNDS, boundMs: 60_000 })
      expect(refused).to.be.above(0)
    })
  }

  it('leaves the system as it was', () => system.expectAlive([notifier], watcher))

  /** What the store holds once what an earlier call began, such as sending an entry, is done. */
  async function quiet(): Promise<ReadonlyMap<string, string>> {
    let last = await dumpStore(redis, system.namespace)
    const isSame = async (): Promise<boolean> => {
      const next = await dumpStore(redis, system.namespace)
      const same = differences(last, next).length === 0
      last = next
      return same
    }
    await eventually(isSame, { what: 'the store to be quiet', timeoutMs: 20_000, intervalMs: 20 })
    return last
  }
})
