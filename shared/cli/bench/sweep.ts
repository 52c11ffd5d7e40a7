import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import type { Process } from '../../process/create-services.ts'
import { Drainer } from '../../relay/drainer.ts'
import { compiled } from '../checkout.ts'
import type { Bench } from './bench-context.ts'
import { awaitRest, openRedis } from './redis-info.ts'
import type { CaseResult } from './result.ts'
import { show, showSpread, spreadOf } from './statistics.ts'
import { openServices, storeTokens } from './store-services.ts'

/** A second is the sweep's once it is so much overdue. */
const OVERDUE_SECONDS = 2
const HOUR = 3600
/** The tokens that are not due lie from here on, so that none of them falls due meanwhile. */
const LATER = 1800

type SweepModule = typeof import('../../../poller/sweep.ts')
type Sweeper = InstanceType<SweepModule['Sweeper']>

/** One sweep of the poller that finds `due` tokens, with few and with many others stored. */
export async function runSweep(bench: Bench): Promise<CaseResult> {
  const { sizes, say } = bench
  const { small, large, due, samples } = sizes.sweep
  const redis = openRedis(bench)
  const services = await openServices(bench)
  const sweeper = await createSweeper(services)
  const base = Math.floor(Date.now() / 1000) + LATER
  const store = (first: number, count: number): Promise<void> =>
    storeTokens(services.tokens, first, count, (index) => base + (index % HOUR))
  let last = large
  const measure = async (): Promise<number[]> => {
    await awaitRest(redis)
    const first = last
    last += (samples + 1) * due
    return sweepOnce(services, sweeper, { first, due, samples })
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
        aim: '< 1.3 × the few',
      },
    ],
    notes: [
      `One whole sweep (drain, relay, prune, trim, report) of ${due} tokens overdue in one second, ${samples} times with many and ${2 * samples} times with few, half of them before and half after.`,
    ],
  }
}

/** The poller's own sweep, found by its place as the processes are: nothing in shared imports the poller. */
async function createSweeper(services: Process): Promise<Sweeper> {
  const file = pathToFileURL(join(compiled, 'poller', 'sweep.js')).href
  const { Sweeper } = (await import(file)) as SweepModule
  const { settings, store, tokens, feed, upkeep, relay } = services
  const tenants = [...settings.tenants.keys()]
  const { shards, backlogMax, sweepGraceMs: graceMs, feedRetentionMs: retentionMs } = settings
  const drainer = new Drainer({ tokens, relay, tenants, shards, backlogMax })
  return new Sweeper({ store, feed, upkeep, relay, drainer, tenants, graceMs, retentionMs })
}

/** One batch of tokens per second in a row, so that every second's sweep finds one of them. The first sweep warms up. */
async function sweepOnce(
  { store, tokens, relay }: Process,
  sweeper: Sweeper,
  { first, due, samples }: { first: number; due: number; samples: number },
): Promise<number[]> {
  const { at } = await store.touch(DEFAULT_TENANT, 0)
  const from = Math.ceil(at / 1000) + 2
  await storeTokens(tokens, first, (samples + 1) * due, (index) => {
    return from + Math.floor((index - first) / due)
  })
  const times: number[] = []
  for (let sample = 0; sample <= samples; sample++) {
    const { at: now } = await store.touch(DEFAULT_TENANT, 0)
    await delay(Math.max(0, (from + sample + OVERDUE_SECONDS) * 1000 + 100 - now))
    const started = performance.now()
    const { overdueTokens } = await sweeper.runOnce('bench')
    const took = performance.now() - started
    await relay.settled()
    if (overdueTokens !== due) throw new Error(`A sweep found ${overdueTokens}, not ${due}.`)
    if (sample > 0) times.push(took)
  }
  return times
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
