import { knellEnv, type Bench } from './bench-context.ts'
import { addJobs, openBullQueue } from './bull.ts'
import { openFullView } from './full-view.ts'
import { openRedis, storedBytes } from './redis-info.ts'
import type { CaseResult } from './result.ts'
import { show } from './statistics.ts'
import { openServices, storeTokens } from './store-services.ts'
import { payloadBytes, tokenOf } from './tokens.ts'

const HOUR = 3600

/** What a registered token costs the store, and what a revoked one costs each view. */
export async function runBytes(bench: Bench): Promise<CaseResult> {
  const { scope, sizes, say } = bench
  const { tokens, jobs, revoked } = sizes.bytes
  const redis = openRedis(bench)
  const services = await openServices(knellEnv(bench), scope)
  const now = Math.floor(Date.now() / 1000)
  // One token first, so that what is there once and for all is not counted.
  await storeTokens(services.tokens, 0, 1, () => now + HOUR)
  const empty = await storedBytes(redis)
  say(`bytes: registering ${tokens} tokens`)
  await storeTokens(services.tokens, 1, tokens, (index) => now + 600 + (index % HOUR))
  const perToken = ((await storedBytes(redis)) - empty) / tokens
  const payload = payloadBytes(tokenOf(1, now))

  say(`bytes: adding ${jobs} BullMQ jobs`)
  const queue = await openBullQueue(bench)
  await addJobs(queue, 1, Date.now() + HOUR * 1000)
  const before = await storedBytes(redis)
  await addJobs(queue, jobs, Date.now() + HOUR * 1000)
  const perJob = ((await storedBytes(redis)) - before) / jobs

  say(`bytes: booting a view with ${revoked} revoked tokens`)
  const { view, booted } = await openFullView(bench, revoked)
  const perJti = booted.packedBytes / revoked
  const perJtiInProcess = booted.processBytes / revoked
  const perJtiInSet = await view.call('weighSet', revoked)
  return {
    record: {
      case: 'bytes',
      unit: 'B',
      knell: { perToken, payload, tokens, perJti, perJtiInProcess, revoked },
      peer: { perToken: perJob, jobs, perJti: perJtiInSet },
      ratioToPeer: perToken / perJob,
    },
    rows: [
      {
        what: 'per registered token in Redis, B',
        knell: show(perToken),
        peer: show(perJob),
        ratio: `1/${show(perJob / perToken)} of peer`,
      },
      { what: 'of which ids that must be kept, B', knell: show(payload) },
      {
        what: 'per revoked jti in a view, B',
        knell: show(perJti),
        peer: show(perJtiInSet),
        ratio: `1/${show(perJtiInSet / perJti)} of peer`,
      },
      { what: 'growth of the process per jti, B', knell: show(perJtiInProcess) },
    ],
    notes: [
      `${tokens} tokens spread over an hour, 4 shards; the peer is a BullMQ delayed job with the same data (${jobs} of them). ${revoked} revoked UUIDs; the peer is a JavaScript Set of the same strings.`,
    ],
  }
}
