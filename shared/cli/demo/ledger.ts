import { Duties } from './duties.ts'
import type { Issued } from './issuer.ts'
import {
  serviceNames,
  type Ended,
  type Expired,
  type Report,
  type ServiceName,
} from './messages.ts'

const PATIENCE_LOST_MS = 1_000
const COMPLAINTS = 10

/**
 * What the services have reported and answered, held against what may die and when. Every count of
 * the summary comes from here, and none of them from what ought to have happened.
 */
export class Ledger {
  registered = 0
  revocations = 0
  /** Pairs of a revocation and a service that has enforced it. */
  applied = 0
  caughtByPoller = 0
  /** Revocations of which the notifier said that they are enforced everywhere, and were. */
  proved = 0
  /** Proofs that were not given, or not true. */
  unproved = 0
  /** Services that kept a held token out, and that let it in again once it was released. */
  held = 0
  released = 0
  /** Times a service that was cut off answered 503 with `Retry-After`. */
  staleRefusals = 0
  /** Deaths that were dealt with by the worker's handler, and that were not, when it was last looked at. */
  handled = 0
  lost = 0
  readonly duties: Duties = new Duties()
  checkNs = 0
  /** Times a service was asked about a token. */
  asked = 0
  readonly pushMs: number[] = []
  /** From just before the call until the notifier said that it is enforced everywhere. */
  readonly proofMs: number[] = []
  /** Tokens of the demo, and from when on they may be refused (wall clock, ms). */
  readonly #tokens = new Map<string, { readonly sub: string; readonly mayDieFrom: number }>()
  readonly #ended = new Map<string, Ended>()
  readonly #expired = new Map<string, Expired>()
  readonly #push = new Map<ServiceName, 'up' | 'down'>()
  readonly #missed = new Set<string>()
  readonly #falselyRefused = new Set<string>()
  readonly #waiters = new Set<() => void>()
  readonly #onFault: (text: string) => void
  #complaints = 0

  /** The first faults are told at once. */
  constructor(onFault: (text: string) => void) {
    this.#onFault = onFault
  }

  /** From now on, or from its `exp` on, this token may be refused. To be called before it can be. */
  mayDie({ jti, sub, exp }: Issued, when: 'now' | 'at exp'): void {
    this.#tokens.set(jti, { sub, mayDieFrom: when === 'now' ? Date.now() : exp * 1000 })
  }

  /** Takes down what a service reports by itself. */
  hear(service: ServiceName, report: Report): void {
    if (report.type === 'push') this.#push.set(service, report.state)
    if (report.type === 'ended') {
      this.#ended.set(keyOf(service, report.jti), report)
      this.#refused(service, report.jti, report.code, Date.now())
    }
    if (report.type === 'expired') {
      this.#expired.set(keyOf(service, report.jti), report)
      this.#refused(service, report.jti, 'expired', report.storeMs)
    }
    if (report.type === 'handling' || report.type === 'handled') this.duties.hear(report)
    for (const waiter of this.#waiters) waiter()
  }

  /** Takes down what a service has answered for a token. */
  answered(service: ServiceName, { jti }: Issued, code: string): void {
    this.asked += 1
    if (code !== 'active') this.#refused(service, jti, code, Date.now())
  }

  #refused(service: ServiceName, jti: string, code: string, wallMs: number): void {
    const { sub = 'nobody', mayDieFrom = Number.POSITIVE_INFINITY } = this.#tokens.get(jti) ?? {}
    if (wallMs < mayDieFrom) this.keepOut(service, { jti, sub }, code)
  }

  /** A token that a service should have let in and did not. */
  keepOut(service: ServiceName, { jti, sub }: Pick<Issued, 'jti' | 'sub'>, code: string): void {
    const key = keyOf(service, jti)
    if (this.#falselyRefused.has(key)) return
    this.#falselyRefused.add(key)
    this.#complain(`Falsely refused: ${service} kept out a good token of ${sub} (${code}).`)
  }

  /** A dead token that a service still takes, or one whose expiry it was never told of. */
  miss(service: ServiceName, { jti, sub }: Issued, what: string): void {
    const key = keyOf(service, jti)
    if (this.#missed.has(key)) return
    this.#missed.add(key)
    this.#complain(`Missed: ${service} ${what} ${sub}.`)
  }

  /** A proof that was not given, or that proved nothing. */
  unprove(text: string): void {
    this.unproved += 1
    this.#complain(`Not proved: ${text}`)
  }

  /** Takes down what the handlers have handled by now, and what they have not, which is lost. */
  settle(): void {
    const { owed, open } = this.duties
    this.lost = open.length
    this.handled = owed - open.length
    for (const about of open) this.#complain(`Lost: nobody has handled ${about}.`)
  }

  #complain(text: string): void {
    this.#complaints += 1
    if (this.#complaints <= COMPLAINTS) this.#onFault(text)
  }

  /** When a service ended what it had let the token in for (`machineMs`), if it did for this reason. */
  endedAt(
    service: ServiceName,
    { jti }: Issued,
    code: 'revoked' | 'held' = 'revoked',
  ): number | undefined {
    const ended = this.#ended.get(keyOf(service, jti))
    return ended?.code === code ? ended.at : undefined
  }

  /** How long after its `exp` a token was announced to a service (ms). */
  announcedAfterMs(service: ServiceName, { jti, exp }: Issued): number | undefined {
    const expired = this.#expired.get(keyOf(service, jti))
    return expired && expired.wallMs - exp * 1000
  }

  isPush(state: 'up' | 'down'): boolean {
    return serviceNames.every((service) => this.#push.get(service) === state)
  }

  /** How long to wait for what comes at once where all is well: not for long any more once something has not come. */
  patience(ms: number): number {
    return this.missed > 0 ? Math.min(ms, PATIENCE_LOST_MS) : ms
  }

  /** Waits for reports until `isSo`, at most `withinMs`. Resolves with whether it came to be so. */
  until(isSo: () => boolean, withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (isSo()) finish(true)
      }
      const finish = (result: boolean): void => {
        clearTimeout(timer)
        this.#waiters.delete(look)
        resolve(result)
      }
      const timer = setTimeout(() => finish(isSo()), withinMs)
      this.#waiters.add(look)
      look()
    })
  }

  get missed(): number {
    return this.#missed.size
  }

  get falselyRefused(): number {
    return this.#falselyRefused.size
  }

  /** Tokens whose expiry has reached every service. */
  get expired(): number {
    const heard = new Map<string, number>()
    for (const { jti } of this.#expired.values()) heard.set(jti, (heard.get(jti) ?? 0) + 1)
    return [...heard.values()].filter((count) => count === serviceNames.length).length
  }
}

function keyOf(service: ServiceName, jti: string): string {
  return `${service} ${jti}`
}
