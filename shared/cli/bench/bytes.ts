import { judgeAim } from './aims.ts'
import { knellEnv, type Bench } from './bench-context.ts'
import { addJobs, openBullQueue } from './bull.ts'
import { awaitRest, holdRewrites, openRedis, storedBytes } from './redis-info.ts'
import type { RedisClient } from '../../store/store.ts'
import type { CaseResult } from './result.ts'
import { show } from './statistics.ts'
import { openServices, storeTokens } from './store-services.ts'
import { payloadBytes, tokenOf } from './tokens.ts'

const HOUR = 3600
const AT_ONCE = 1000

/** What a registered token costs the store, spread over an hour and all in one second, beside what one would keep instead. */
export async function runBytes(bench: Bench): Promise<CaseResult> {
  const { scope, sizes, engines, say } = bench
  const { tokens, jobs, others } = sizes.bytes
  const redis = openRedis(bench)
  await holdRewrites(bench, redis)
  const services = await openServices(knellEnv(bench), scope)
  const now = Math.floor(Date.now() / 1000)
  const grown = async (add: (first: number, count: number) => Promise<unknown>, count: number) => {
    // One first, so that what is there once and for all is not counted.
    await add(0, 1)
    await awaitRest(redis)
    const before = await storedBytes(redis)
    await add(1, count)
    return ((await storedBytes(redis)) - before) / count
  }

  say(`bytes: registering ${tokens} tokens over an hour`)
  const hour = await grown(
    (first, count) =>
      storeTokens(services.tokens, first, count, (index) => now + 1800 + (index % HOUR)),
    tokens,
  )
  say(`bytes: registering ${tokens} tokens in one second`)
  const second = await grown(
    (first, count) =>
      storeTokens(services.tokens, tokens + 1 + first, count, () => now + 1800 + 2 * HOUR),
    tokens,
  )
  const payload = payloadBytes(tokenOf(1, now))

  say(`bytes: ${jobs} BullMQ jobs, ${others} hashes, ${others} members of a sorted set`)
  const queue = await openBullQueue(bench)
  const job = await grown((_, count) => addJobs(queue, count, Date.now() + HOUR * 1000), jobs)
  const hash = await grown(
    (first, count) =>
      pipelined(redis, first, count, (pipeline, index) => {
        const { jti, exp, ...claims } = tokenOf(index, now + HOUR)
        const key = `${engines.namespace}:token:${jti}`
        pipeline.hset(key, claims).expireat(key, exp)
      }),
    others,
  )
  const member = await grown(
    (first, count) =>
      pipelined(redis, first, count, (pipeline, index) => {
        const { exp, ...claims } = tokenOf(index, now + HOUR)
        pipeline.zadd(`${engines.namespace}:by-exp`, exp, Object.values(claims).join('\n'))
      }),
    others,
  )
  const row = (what: string, value: number): CaseResult['rows'][number] => ({
    what,
    knell: '',
    peer: show(value),
    ratio: `1/${show(value / hour)} of peer`,
  })
  return {
    record: {
      case: 'bytes',
      unit: 'B',
      knell: { perToken: hour, perTokenInOneSecond: second, payload, tokens },
      floor: { payload },
      peer: { perToken: job, jobs },
      peers: { hash: { perToken: hash }, sortedSet: { perToken: member } },
      ratioToFloor: hour / payload,
      ratioToPeer: hour / job,
    },
    rows: [
      {
        what: 'per token over an hour, B',
        knell: show(hour),
        floor: show(payload),
        ratio: `${show(hour / payload)} × floor`,
        aim: judgeAim('bytes.hour', hour / payload),
      },
      {
        what: 'per token in one second, B',
        knell: show(second),
        floor: show(payload),
        ratio: `${show(second / payload)} × floor`,
        aim: judgeAim('bytes.second', second / payload),
      },
      row('a BullMQ delayed job each, B', job),
      row('a hash with an expiry each, B', hash),
      row('a member of a sorted set each, B', member),
    ],
    notes: [
      `What Redis's memory grows by: ${show(tokens)} tokens over an hour, and as many in one second, 4 shards, hash-max-listpack limits as recommended (500, 128). The floor is the characters of jti, sub, sid and client_id. The peers hold the same four: ${jobs} jobs, ${others} of each of the others; their ratios are to Knell over an hour.`,
    ],
  }
}

async function pipelined(
  redis: RedisClient,
  first: number,
  count: number,
  add: (pipeline: ReturnType<RedisClient['pipeline']>, index: number) => void,
): Promise<void> {
  for (let from = first; from < first + count; from += AT_ONCE) {
    const pipeline = redis.pipeline()
    for (let i = from; i < Math.min(from + AT_ONCE, first + count); i++) add(pipeline, i)
    const results = (await pipeline.exec()) ?? []
    for (const [error] of results) if (error !== null) throw error
  }
}
