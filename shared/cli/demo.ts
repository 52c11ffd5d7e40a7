import { playEnding } from './demo/ending.ts'
import { playExpiry } from './demo/expiry.ts'
import { createFront } from './demo/front.ts'
import { Issuer } from './demo/issuer.ts'
import { Ledger } from './demo/ledger.ts'
import { serviceNames } from './demo/messages.ts'
import { playDeadRabbit, playDeadRelay } from './demo/outages.ts'
import { playHandler, playReturn } from './demo/handler.ts'
import { playHold } from './demo/hold.ts'
import { playProof } from './demo/proof.ts'
import { playStale } from './demo/stale.ts'
import { logInAll, startTraffic, type Show } from './demo/show.ts'
import { playSample, playSituations } from './demo/situations.ts'
import { openStage, type Stage } from './demo/stage.ts'
import { isGood, summarize, toTable } from './demo/summary.ts'
import { openEngines } from './engines/engines.ts'
import { exitCodeOf, onInterrupt } from './interrupt.ts'

/**
 * `npm run demo [-- --json]`: engines, a notifier, a poller and three consuming services as processes
 * of their own; the situations in which tokens must die, with proof; a hold; then the same with one
 * thing after another cut off or killed. Exits with 1 if a dead token was let in, a good one kept out, a
 * death handled by nobody, a proof absent or untrue, or anything else failed.
 */

/** The demo is over in half a minute, or a whole one on a busy machine; where the engines took most of it, the play gets this long. */
const WHOLE_WITHIN_MS = 70_000
const PLAY_AT_LEAST_MS = 30_000
const PUSHED_WITHIN_MS = 15_000

const isJson = process.argv.includes('--json')
const say = (line: string): void => (isJson ? console.error(line) : console.log(line))

const started = performance.now()
const engines = await openEngines({
  env: process.env,
  log: (line) => console.error(line),
  services: serviceNames,
})
const issuer = new Issuer()
const ledger = new Ledger((fault) => {
  if (!isOver) say(`!! ${fault}`)
})
const releases: (() => Promise<unknown>)[] = [() => engines.stop()]
let stage: Stage | undefined
/** What is heard while all is being closed is no fault. */
let isOver = false

/** Opens everything and plays all scenes, or as many as there are until a process dies that should not. */
async function play(): Promise<void> {
  stage = await openStage({
    engines,
    issuer,
    releases,
    onReport: (service, report) => ledger.hear(service, report),
  })
  if (!(await ledger.until(() => ledger.isPush('up'), PUSHED_WITHIN_MS))) {
    throw new Error('Not every service has connected to RabbitMQ.')
  }
  const fronts = [...stage.services.processes.values()].map((service) =>
    createFront[service.name](service),
  )
  const show: Show = { stage, issuer, ledger, fronts, bystanders: [], dead: [], say }
  say(`1 notifier, 1 poller and 3 services run; engines: ${engines.source}.\n`)
  await Promise.race([playScenes(show), stage.broken])
}

async function playScenes(show: Show): Promise<void> {
  const users = ['peggy', 'quentin', 'ruth', 'sybil', 'trent'].map((sub) => ({ sub }))
  show.bystanders.push(...(await logInAll(show, users)))
  const stopTraffic = startTraffic(show)
  releases.push(stopTraffic)

  await playSituations(show)
  await playSample(show)
  await playProof(show)
  await playHold(show)
  await playExpiry(show)
  await playStale(show)
  await playDeadRelay(show)
  await playHandler(show)
  await playDeadRabbit(show)
  await playReturn(show)
  await playEnding(show)
  await stopTraffic()
}

/** Resolves with what ended the play before its end, if anything did. */
async function watchOver(playing: Promise<void>): Promise<Error | undefined> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    const leftMs = WHOLE_WITHIN_MS - (performance.now() - started)
    const error = new Error('The demo took too long and was broken off.')
    timer = setTimeout(() => reject(error), Math.max(leftMs, PLAY_AT_LEAST_MS))
  })
  try {
    await Promise.race([playing, tooLate])
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  } finally {
    clearTimeout(timer)
  }
}

/** What is being closed must not fail the closing of the rest. */
async function closeAll(): Promise<void> {
  for (;;) {
    const release = releases.pop()
    if (release === undefined) return
    await release().catch((error: unknown) => console.error(error))
  }
}

const interrupted = new Promise<NodeJS.Signals>((resolve) => onInterrupt(resolve))
const outcome = await Promise.race([interrupted, watchOver(play())])
isOver = true
if (typeof outcome === 'string') {
  console.error('Stopping ...')
  await closeAll()
  process.exit(exitCodeOf(outcome))
}
if (outcome !== undefined) console.error(`${outcome.stack}\n${stage?.lastWords() ?? ''}`)
// A play that was broken off may not have come to that.
ledger.settle()
const summary = summarize(ledger)
await closeAll()
say(`\n${toTable(summary, ledger.asked)}`)
say(`  ${'all in'.padEnd(22)}${((performance.now() - started) / 1000).toFixed(1)} s`)
if (isJson) console.log(JSON.stringify(summary))
process.exit(outcome === undefined && isGood(summary) ? 0 : 1)
