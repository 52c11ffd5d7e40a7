import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Scope } from '../bench/scope.ts'
import { openProxy } from '../../testing/tcp-proxy.ts'
import { exitCodeOf, onInterrupt } from '../interrupt.ts'
import { call } from './client.ts'
import { Deaths } from './deaths.ts'
import { Dice } from './dice.ts'
import { openSoakEngines, type SoakEngines } from './engines.ts'
import { FeedLedger } from './feed-ledger.ts'
import type { SoakOptions } from './options.ts'
import { explainedBy } from './explained.ts'
import { keysLeft } from './keys-left.ts'
import { leaksOf } from './leaks.ts'
import { ServicePart } from './part.ts'
import { planFaults } from './plan.ts'
import { describe, runFaults } from './run-faults.ts'
import { RunRecord } from './run-record.ts'
import { Sampler, type Sample } from './sampler.ts'
import { settle, unwell } from './settle.ts'
import { openStage, type Stage } from './stage.ts'
import { tableOf } from './table.ts'
import { shorten, verdictOf } from './verdict.ts'
import { Workload } from './workload.ts'

/** As long as handlers may need: a queue that was deleted is filled again after 30 s, and once more after a minute. */
const SETTLE_MS = 180_000
const WELL_WITHIN_MS = 90_000
/** Until every view has surely heard of it. */
const LOST_MS = 3000

/** Garbage has been collected before at least one of so many looks. */
const LAST_SAMPLES = 30

const say = (line: string): void => console.error(line)

/** Runs the whole system under faults, and returns the exit code: 0 where every promise was kept. */
export async function runSoak(options: SoakOptions): Promise<number> {
  const interrupt = new AbortController()
  const interrupted = new Promise<NodeJS.Signals>((resolve) => {
    onInterrupt((signal) => {
      say('Stopping ...')
      interrupt.abort()
      resolve(signal)
    })
  })
  const engines = await openSoakEngines(process.env, say)
  const scope = new Scope()
  try {
    const found = await Promise.race([soak(engines, scope, options, interrupt.signal), interrupted])
    if (typeof found === 'string') return exitCodeOf(found)
    for (const line of shorten(found)) console.log(`✗ ${line}`)
    const { minutes, seed, lose } = options
    const again = `npm run soak -- --minutes ${minutes} --seed ${seed}${lose ? ' --lose' : ''}`
    console.log(
      found.length === 0
        ? `Every promise was kept. (seed ${options.seed})`
        : `${found.length} broken promises. The same faults again: ${again}`,
    )
    return found.length === 0 ? 0 : 1
  } finally {
    await scope.release().catch((error: unknown) => console.error(error))
    await engines.stop()
  }
}

async function soak(
  engines: SoakEngines,
  scope: Scope,
  { minutes, seed, lose }: SoakOptions,
  signal: AbortSignal,
): Promise<string[]> {
  const ms = minutes * 60_000
  say(`seed ${seed}: two notifiers, two pollers, three subscribers`)
  const stage = await openStage(engines, scope, say)
  const plan = planFaults(seed, ms, stage.cast)
  for (const planned of plan) say(`  at ${(planned.atMs / 1000).toFixed(1)} s ${describe(planned)}`)
  const record = new RunRecord(Date.now())
  const ledger = new FeedLedger(engines)
  scope.defer(() => ledger.close())
  ledger.start()

  const workload = new Workload(stage, record, new Dice(seed))
  const deaths = new Deaths(stage.parts)
  deaths.start()
  scope.defer(() => deaths.stop())
  const sampler = new Sampler(stage, ledger.redis)
  const first = await sampler.take(true)
  sampler.start()
  scope.defer(() => sampler.stop())
  workload.start()
  await runFaults(stage, plan, { forMs: ms, signal, say })
  await workload.stop()
  say('The faults are over; everything settles ...')
  const ill = await settle(WELL_WITHIN_MS, signal, () => unwell(stage))
  const late = await openLateService(stage, scope)
  const all = [...stage.services, late]
  const verdict = (): ReturnType<typeof verdictOf> => verdictOf(stage, record, ledger, all)
  const wrong = await settle(SETTLE_MS, signal, verdict)
  if (lose) {
    await loseOne(stage, record)
    wrong.push(...(await verdict()))
  }
  await late.stop()
  const explained = await explainedBy(stage, ledger.redis)
  let last: Sample[] = []
  const leaks = await settle(SETTLE_MS, signal, async () => {
    last = [...last, await sampler.take(true)].slice(-LAST_SAMPLES)
    return [...leaksOf(first, last, explained), ...(await keysLeft(stage, ledger.redis))]
  })
  console.log(tableOf(first, sampler.samples, last, record.counts))
  deaths.look()
  return [...deaths.found, ...record.found, ...ill, ...wrong, ...leaks]
}

/** A view that starts only now knows what was revoked before it was there. */
async function openLateService(stage: Stage, scope: Scope): Promise<ServicePart> {
  const { engines } = stage
  const target = { host: '127.0.0.1', port: engines.rabbit.port }
  const proxy = await openProxy({ target })
  scope.defer(() => proxy.close())
  const file = join(stage.folder, 'late.handled')
  const url = proxy.url(engines.amqpUrl)
  const late = new ServicePart('late-1', proxy, {
    ...stage.serviceOptions('late', url, file),
    handles: false,
  })
  scope.defer(() => late.stop())
  await late.start()
  await late.ready()
  return late
}

/** Undoes a revocation behind the back of the record, which still believes in it. */
async function loseOne({ notifiers, apiKey }: Stage, record: RunRecord): Promise<void> {
  const match = { sub: 'lost' }
  const [{ url } = { url: '' }] = notifiers
  await call(`${url}/v1/revocations`, apiKey, { match })
  await call(`${url}/v1/revocations/restore`, apiKey, { match })
  await delay(LOST_MS)
  record.acknowledged.push({ match })
}
