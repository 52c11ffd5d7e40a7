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
    checkNs: ledger.checkNs,
  }
}

/** Whether every promise was kept. */
export function isGood(summary: Summary): boolean {
  const { missed, falselyRefused, applied, revocations, services } = summary
  return missed === 0 && falselyRefused === 0 && applied === revocations * services
}

export function toTable(summary: Summary, asked: number): string {
  const { revocations, services, applied, pushMsP50, pushMsP99 } = summary
  const rows: [string, string | number][] = [
    ['tokens registered', summary.registered],
    [
      'revocations',
      `${revocations}, applied ${applied} times of ${revocations * services} in ${services} services`,
    ],
    ['expiries announced', `${summary.expired} to every service`],
    ['missed', summary.missed],
    ['falsely refused', `${summary.falselyRefused} (tokens asked about ${asked} times)`],
    ['caught by the poller', summary.caughtByPoller],
    ['push latency', `p50 ${duration(pushMsP50)}, p99 ${duration(pushMsP99)}`],
    ['one check', `${summary.checkNs} ns`],
  ]
  return rows.map(([name, value]) => `  ${name.padEnd(22)}${value}`).join('\n')
}

function toHundredths(ms: number): number {
  return Math.round(ms * 100) / 100
}
