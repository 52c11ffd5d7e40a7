import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import type { Process } from '../../process/create-services.ts'
import { judgeAim } from './aims.ts'
import { knellEnv, type Bench } from './bench-context.ts'
import { openChild, type Child } from './child.ts'
import { awaitRest, holdRewrites, openRedis } from './redis-info.ts'
import { layTokens } from './lay-tokens.ts'
import type { CaseResult } from './result.ts'
import { show, showSpread, spreadOf } from './statistics.ts'
import { openServices, storeTokens } from './store-services.ts'
import type { SweepProgram } from './sweeper.ts'

/** A second is the sweep's once it is so much overdue, and a little more. */
const OVERDUE_SECONDS = 3
const HOUR = 3600
/** The tokens that are not due lie twice as far ahead, so that none of them falls due meanwhile. */
const LATER = 1800
/** Sweeps of each kind that are not counted, after which the program is as fast as it gets. */
const WARM_UP = 10
/** Between making tokens overdue and sweeping them. */
const PACE_MS = 50

/** One sweep of the poller that finds `due` tokens, with few and with many others stored. */
export async function runSweep(bench: Bench): Promise<CaseResult> {
  const { scope, sizes, say } = bench
  const { small, large, due, samples } = sizes.sweep
  const redis = openRedis(bench)
  await holdRewrites(bench, redis)
  // Room for the many and for what is due besides.
  const env = { ...knellEnv(bench), MAX_TOKENS: `${2 * sizes.sweep.large}` }
  const services = await openServices(env, scope)
  const sweeper = openChild<SweepProgram>('sweeper')
  scope.defer(() => sweeper.stop())
  await sweeper.call('start', env)
  const base = Math.floor(Date.now() / 1000) + 2 * LATER
  const store = (first: number, count: number): Promise<void> =>
    layTokens(services, { first, count, base, seconds: HOUR })
  let last = large
  const measure = async (): Promise<number[]> => {
    await awaitRest(redis)
    await emptyFeed(services)
    const first = last
    last += (WARM_UP + samples) * due
    return sweepOften(services, sweeper, { first, due, samples })
  }

  say(`sweep: ${small} tokens stored`)
  await store(0, small)
  const few = await measure()
  say(`sweep: ${large} tokens stored`)
  await store(small, large - small)
  const many = await measure()
  // Once more with few, so that what the machine does meanwhile is not taken for growth.
  await removeLater(services, base)
  await store(0, small)
  say(`sweep: ${small} tokens stored, once more`)
  few.push(...(await measure()))

  const [smallSpread, largeSpread] = [spreadOf(few), spreadOf(many)]
  const ratio = largeSpread.median / smallSpread.median
  return {
    record: {
      case: 'sweep',
      unit: 'ms',
      knell: {
        small: smallSpread.median,
        smallRange: smallSpread.range,
        smallStored: small,
        large: largeSpread.median,
        largeRange: largeSpread.range,
        largeStored: large,
        due,
        ratio,
      },
    },
    rows: [
      { what: `${show(due)} due of ${show(small)} stored, ms`, knell: showSpread(smallSpread) },
      {
        what: `${show(due)} due of ${show(large)} stored, ms`,
        knell: showSpread(largeSpread),
        ratio: `${show(ratio)} × the few`,
        aim: judgeAim('sweep.ratio', ratio),
      },
    ],
    notes: [
      `One whole sweep (drain, relay, prune, trim, report) of ${due} tokens overdue in one second, ${samples} times with many and ${2 * samples} times with few, half of them before and half after. A private Redis does not rewrite its log meanwhile.`,
    ],
  }
}

/** Makes tokens overdue, sweeps, and so on. The first sweeps are not counted. */
async function sweepOften(
  services: Process,
  sweeper: Child<SweepProgram>,
  { first, due, samples }: { first: number; due: number; samples: number },
): Promise<number[]> {
  const times: number[] = []
  for (let sample = -WARM_UP; sample < samples; sample++) {
    await makeOverdue(services, first + (sample + WARM_UP) * due, due)
    await delay(PACE_MS)
    const { ms, overdueTokens } = await sweeper.call('sweep')
    if (overdueTokens !== due) throw new Error(`A sweep found ${overdueTokens}, not ${due}.`)
    if (sample >= 0) times.push(ms)
  }
  return times
}

/** Registers tokens that are due later and moves their second to where it is overdue, rather than wait for it. */
async function makeOverdue({ store, tokens }: Process, first: number, due: number): Promise<void> {
  const { at } = await store.touch(DEFAULT_TENANT, 0)
  const now = Math.floor(at / 1000)
  const [later, overdue] = [now + LATER - 1, now - OVERDUE_SECONDS]
  await storeTokens(tokens, first, due, () => later)
  for (let shard = 0; shard < store.shards; shard++) {
    const keys = store.keys.shard(DEFAULT_TENANT, shard)
    await store.redis.rename(keys.second(later), keys.second(overdue))
    await store.redis.zrem(keys.wheel, later)
    await store.redis.zadd(keys.wheel, overdue, overdue)
  }
}

/** What earlier sweeps have announced must not count as growth of what is stored. */
async function emptyFeed({ store }: Process): Promise<void> {
  for (let shard = 0; shard < store.shards; shard++) {
    await store.redis.unlink(store.keys.shard(DEFAULT_TENANT, shard).feed.expiries)
  }
}

/** Takes the tokens that are not due off the wheel again. */
async function removeLater({ store }: Process, base: number): Promise<void> {
  for (let shard = 0; shard < store.shards; shard++) {
    const keys = store.keys.shard(DEFAULT_TENANT, shard)
    await store.redis.zremrangebyscore(keys.wheel, base, '+inf')
    const seconds = Array.from({ length: HOUR }, (_, i) => keys.second(base + i))
    await store.redis.unlink(...seconds)
  }
}
