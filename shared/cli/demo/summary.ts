import type { Ledger } from './ledger.ts'
import { serviceNames } from './messages.ts'
import { duration, percentile } from './words.ts'

/** What `--json` prints, as one line, last. */
export interface Summary {
  readonly registered: number
  readonly revocations: number
  /** Tokens whose expiry reached every service. */
  readonly expired: number
  readonly services: number
  /** Pairs of a revocation and a service that enforced it. */
  readonly applied: number
  /** Pairs of a dead token and a service that still took it, or was never told of its expiry. */
  readonly missed: number
  /** Pairs of a good token and a service that refused it. */
  readonly falselyRefused: number
  /** Entries and tokens that the sweeps found while the push path was dead. */
  readonly caughtByPoller: number
  /** From just before the call until a service had enforced it, while the push path lived. */
  readonly pushMsP50: number
  readonly pushMsP99: number
  /** Revocations of which the notifier said that every service enforces them, and every one did. */
  readonly proved: number
  /** Proofs that were not given, or not true. */
  readonly unproved: number
  /** From just before the call until the notifier had said so. */
  readonly proofMsP50: number
  /** Services that kept a held token out, and that let it in again when it was released. */
  readonly held: number
  readonly released: number
  /** Times that the service that was cut off answered 503 with `Retry-After`. */
  readonly staleRefusals: number
  /** Deaths that a handler had to deal with and has, though it was killed; and those that nobody has. */
  readonly handled: number
  readonly lost: number
  readonly checkNs: number
}

export function summarize(ledger: Ledger): Summary {
  const { registered, revocations, expired, applied, missed, falselyRefused } = ledger
  return {
    registered,
    revocations,
    expired,
    services: serviceNames.length,
    applied,
    missed,
    falselyRefused,
    caughtByPoller: ledger.caughtByPoller,
    pushMsP50: toHundredths(percentile(ledger.pushMs, 50)),
    pushMsP99: toHundredths(percentile(ledger.pushMs, 99)),
    proved: ledger.proved,
    unproved: ledger.unproved,
    proofMsP50: toHundredths(percentile(ledger.proofMs, 50)),
    held: ledger.held,
    released: ledger.released,
    staleRefusals: ledger.staleRefusals,
    handled: ledger.handled,
    lost: ledger.lost,
    checkNs: ledger.checkNs,
  }
}

/** Whether every promise was kept. */
export function isGood(summary: Summary): boolean {
  const { missed, falselyRefused, unproved, lost, applied, revocations, services } = summary
  const isFaultless = missed + falselyRefused + unproved + lost === 0
  const isWhole = summary.held === services && summary.released === services
  return isFaultless && isWhole && applied === revocations * services
}

export function toTable(summary: Summary, asked: number): string {
  const { revocations, services, applied, pushMsP50, pushMsP99, proofMsP50 } = summary
  const rows: [string, string | number][] = [
    ['tokens registered', summary.registered],
    [
      'revocations',
      `${revocations}, applied ${applied} times of ${revocations * services} in ${services} services`,
    ],
    ['expiries announced', `${summary.expired} to every service`],
    ['missed', summary.missed],
    ['falsely refused', `${summary.falselyRefused} (tokens asked about ${asked} times)`],
    [
      'proofs',
      `${summary.proved}, enforced on ${services} of ${services} in p50 ${duration(proofMsP50)}; ${summary.unproved} failed`,
    ],
    [
      'a hold',
      `kept out by ${summary.held} services, good again in ${summary.released} when released`,
    ],
    ['a stale service', `refused ${summary.staleRefusals} times with 503`],
    ['deaths handled', `${summary.handled}, ${summary.lost} lost, though the handler was killed`],
    ['caught by the poller', summary.caughtByPoller],
    ['push latency', `p50 ${duration(pushMsP50)}, p99 ${duration(pushMsP99)}`],
    ['one check', `${summary.checkNs} ns`],
  ]
  return rows.map(([name, value]) => `  ${name.padEnd(22)}${value}`).join('\n')
}

function toHundredths(ms: number): number {
  return Math.round(ms * 100) / 100
}
