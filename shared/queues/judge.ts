import type { Log } from '../domain/position.ts'
import type { Offer, QueueCount } from './queue-count.ts'
import type { NamedQueue } from './queue-names.ts'

export type Verdict = 'ok' | 'degraded' | 'failing'
/** Of a part, which may rest on what nobody answers. `unknown` is not `ok`, and worse is what has made it so. */
export type PartVerdict = Verdict | 'unknown'

/** What the verdict rests on. All times are in ms. */
export interface QueueFacts {
  /** Why the store does not answer; undefined where it does. */
  readonly storeProblem: string | undefined
  readonly broker: {
    readonly isUp: boolean
    readonly isBlocked: boolean
    readonly problem: string | undefined
  }
  readonly alarms: readonly string[]
  readonly offered: Readonly<Record<string, Offer>>
  readonly counts: readonly QueueCount[]
  readonly missing: readonly NamedQueue[]
  /** Queues of known services of which nothing could be learned. */
  readonly unknown: readonly NamedQueue[]
  /** The services with handlers that the store knows. */
  readonly services: readonly string[]
  readonly jobs: readonly JobFacts[]
  readonly logs: readonly LogFacts[]
  /** Undefined where no sweep of the last day is known; while the store is away, what was known before. */
  readonly sweep: SweepFacts | undefined
  /** Unsent expiries of a shard above which draining pauses. */
  readonly backlogMax: number
}

export interface JobFacts {
  readonly queue: string
  readonly counts: Readonly<Record<string, number>>
  /** How long ago the last job failed; undefined where none has. */
  readonly lastFailedAgoMs: number | undefined
}

export interface LogFacts {
  readonly log: Log
  readonly unsent: number
  /** The most unsent entries of one shard. */
  readonly mostUnsent: number
  /** How long the oldest of them has waited. */
  readonly oldestUnsentMs: number | undefined
}

export interface SweepFacts {
  /** How long ago the last sweep that reported began. */
  readonly agoMs: number
  /** How far sweeps usually lie apart; undefined where only one is known. */
  readonly everyMs: number | undefined
}

export type PartName = 'store' | 'rabbitmq' | 'queues' | 'bullmq' | 'relay' | 'sweep'

export interface Part {
  readonly part: PartName
  readonly verdict: PartVerdict
  /** The worst, in words. */
  readonly reason: string
  /** Everything that was found, the worst first; none where all is well. */
  readonly reasons: readonly string[]
}

export interface Judgement {
  readonly verdict: Verdict
  readonly reason: string
  readonly parts: readonly Part[]
}

/** The numbers at which a verdict changes. */
export const THRESHOLDS = {
  unsentDegradedMs: 10_000,
  unsentFailingMs: 60_000,
  sweepDegradedMs: 60_000,
  sweepFailingMs: 180_000,
  /** Times the usual distance of sweeps, where that is more. */
  sweepDegradedTimes: 2,
  sweepFailingTimes: 3,
  backlogMessages: 10_000,
  retryMessages: 1000,
  waitingJobs: 60,
  failedJobMs: 900_000,
} as const

const ORDER: readonly PartVerdict[] = ['ok', 'unknown', 'degraded', 'failing']
const MAX_REASONS = 20

interface Finding {
  readonly verdict: PartVerdict
  readonly reason: string
}

const unknown = (reason: string): Finding => ({ verdict: 'unknown', reason })
const degraded = (reason: string): Finding => ({ verdict: 'degraded', reason })
const failing = (reason: string): Finding => ({ verdict: 'failing', reason })

/**
 * How the queues are. `failing`: a service may hear late, or nobody repairs what is lost: somebody
 * should get up. `degraded`: somebody should look. Never better than `/readyz`: without the store
 * all is failing, without RabbitMQ at least degraded. A part that nobody could look at is `unknown`.
 */
export function judgeQueues(facts: QueueFacts): Judgement {
  const parts = [
    partOf('store', judgeStore(facts), 'The store answers.'),
    partOf('rabbitmq', judgeBroker(facts), 'RabbitMQ is connected and has no alarm that is told.'),
    partOf(
      'queues',
      judgeCounts(facts),
      'Every queue that is known is consumed, and nothing was given up.',
    ),
    partOf(
      'bullmq',
      [...unseen(facts), ...facts.jobs.flatMap(judgeJobs)],
      'No job waits for long or has just failed.',
    ),
    partOf(
      'relay',
      [...unseen(facts), ...facts.logs.flatMap((log) => judgeLog(log, facts))],
      'Nothing waits for RabbitMQ for long.',
    ),
    partOf('sweep', judgeSweep(facts), 'Sweeps run.'),
  ]
  const worst = parts.reduce((found, part) => (isWorse(part, found) ? part : found))
  // Whatever makes a part unknown is itself told of as worse, by the part of the engine that is away.
  const verdict = worst.verdict === 'unknown' ? 'degraded' : worst.verdict
  const reason = verdict === 'ok' ? 'Everything that can be seen is well.' : worst.reason
  return { verdict, reason, parts }
}

/** What lies in the store is not known while it does not answer. */
function unseen({ storeProblem }: QueueFacts): Finding[] {
  return storeProblem === undefined ? [] : [unknown('not known: the store does not answer')]
}

function isWorse(a: { verdict: PartVerdict }, b: { verdict: PartVerdict }): boolean {
  return ORDER.indexOf(a.verdict) > ORDER.indexOf(b.verdict)
}

function partOf(part: PartName, findings: readonly Finding[], well: string): Part {
  const sorted = [...findings].sort((a, b) => ORDER.indexOf(b.verdict) - ORDER.indexOf(a.verdict))
  const [worst = { verdict: 'ok', reason: well } satisfies Finding] = sorted
  const reasons = sorted.slice(0, MAX_REASONS).map(({ reason }) => reason)
  return { part, ...worst, reasons }
}

function judgeStore({ storeProblem }: QueueFacts): Finding[] {
  return storeProblem === undefined ? [] : [failing(`the store does not answer: ${storeProblem}`)]
}

function judgeBroker({ broker, alarms, offered }: QueueFacts): Finding[] {
  const findings: Finding[] = []
  if (!broker.isUp) {
    const why = broker.problem === undefined ? '' : `: ${broker.problem}`
    findings.push(degraded(`RabbitMQ is not connected${why}; services poll meanwhile`))
  }
  if (broker.isBlocked) {
    findings.push(degraded('RabbitMQ has blocked this connection: it takes no messages'))
  }
  for (const alarm of alarms) {
    findings.push(degraded(`RabbitMQ has an alarm (${alarm}): it takes no messages`))
  }
  for (const [name, { state, reason }] of Object.entries(offered)) {
    if (state === 'failed') findings.push(degraded(`RabbitMQ’s ${name} cannot be read: ${reason}`))
  }
  return findings
}

function judgeCounts(facts: QueueFacts): Finding[] {
  const { counts, missing, unknown: untold, services, broker } = facts
  const known = new Set(services)
  const findings = unseen(facts).map(({ reason }) => unknown(`${reason}, so which there should be`))
  const retries = new Map<string, number>()
  for (const { name, service, kind, messages, consumers } of counts) {
    const isKnown = known.has(service)
    if (kind === 'dead') {
      if (messages > 0) findings.push(degraded(deadReason(messages, service)))
    } else if (kind === 'retry') {
      retries.set(service, (retries.get(service) ?? 0) + messages)
    } else if (consumers === 0 && messages > 0) {
      const why = isKnown ? '' : '; the store knows no such service, so delete the queue'
      findings.push(degraded(`no consumer on ${name} with ${counted(messages, 'message')}${why}`))
    } else if (messages >= THRESHOLDS.backlogMessages) {
      const many = counted(messages, 'message')
      findings.push(degraded(`${many} wait in ${name}: its handlers are slower than its events`))
    }
  }
  for (const [service, messages] of retries) {
    if (messages < THRESHOLDS.retryMessages) continue
    findings.push(
      degraded(
        `${counted(messages, 'event')} of ${service} wait for another try: its handlers fail`,
      ),
    )
  }
  for (const { name, kind } of missing) {
    if (kind !== 'service') continue
    findings.push(degraded(`the queue ${name} is gone; an instance with handlers makes it anew`))
  }
  // Why RabbitMQ does not answer while it is away or blocks is told of there.
  const isDeaf = !broker.isUp || broker.isBlocked
  if (isDeaf && untold.length > 0) {
    findings.push(unknown(`not known: RabbitMQ does not say how full ${queuesText(untold)}`))
  }
  const silent = isDeaf ? [] : untold.filter(({ kind }) => kind !== 'retry')
  for (const { name } of silent)
    findings.push(degraded(`RabbitMQ does not say how full ${name} is`))
  return findings
}

function queuesText(queues: readonly NamedQueue[]): string {
  return queues.length === 1 ? 'one queue is' : `${queues.length} queues are`
}

function deadReason(messages: number, service: string): string {
  const them = messages === 1 ? 'it' : 'them'
  return `${counted(messages, 'dead letter')} of ${service}; replay or drop ${them}`
}

function judgeJobs({ queue, counts, lastFailedAgoMs }: JobFacts): Finding[] {
  const findings: Finding[] = []
  const waiting = counts['waiting'] ?? 0
  const failed = counts['failed'] ?? 0
  if (failed > 0 && lastFailedAgoMs !== undefined && lastFailedAgoMs < THRESHOLDS.failedJobMs) {
    const ago = `the last ${seconds(lastFailedAgoMs)} ago`
    findings.push(degraded(`${counted(failed, 'failed job')} in ${queue}, ${ago}`))
  }
  if (waiting >= THRESHOLDS.waitingJobs) {
    findings.push(degraded(`${counted(waiting, 'job')} wait in ${queue}: nobody works on them`))
  }
  return findings
}

function judgeLog(
  { log, unsent, mostUnsent, oldestUnsentMs }: LogFacts,
  { broker, alarms, backlogMax }: QueueFacts,
): Finding[] {
  const findings: Finding[] = []
  if (oldestUnsentMs !== undefined && oldestUnsentMs >= THRESHOLDS.unsentDegradedMs) {
    const why = !broker.isUp
      ? 'RabbitMQ is not connected'
      : broker.isBlocked || alarms.length > 0
        ? 'RabbitMQ is blocked'
        : 'RabbitMQ confirms nothing, or no relay runs'
    const reason = `the oldest unsent entry of ${log} waits for ${seconds(oldestUnsentMs)}: ${why}`
    const isFailing = oldestUnsentMs >= THRESHOLDS.unsentFailingMs
    findings.push(isFailing ? failing(reason) : degraded(reason))
  }
  if (log === 'expiries' && mostUnsent > backlogMax) {
    findings.push(
      degraded(
        `${counted(unsent, 'entry', 'entries')} of expiries are unsent: tokens that expire now are announced when RabbitMQ has taken these`,
      ),
    )
  }
  return findings
}

function judgeSweep(facts: QueueFacts): Finding[] {
  const { sweep, storeProblem } = facts
  const isAway = storeProblem !== undefined
  if (sweep === undefined) {
    if (isAway) return unseen(facts)
    return [degraded('no sweep has been reported in the last day; is a poller running?')]
  }
  const { agoMs, everyMs = 0 } = sweep
  const { sweepDegradedMs, sweepDegradedTimes, sweepFailingMs, sweepFailingTimes } = THRESHOLDS
  const last = `the last sweep ${isAway ? 'that is known of ' : ''}was ${seconds(agoMs)} ago`
  const reason = `${last}: what the push path misses is not repaired`
  if (agoMs > Math.max(sweepFailingMs, sweepFailingTimes * everyMs)) return [failing(reason)]
  if (agoMs > Math.max(sweepDegradedMs, sweepDegradedTimes * everyMs)) return [degraded(reason)]
  return unseen(facts).map((found) => unknown(`${found.reason}; ${last}`))
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000).toLocaleString('en')} s`
}
