import type { Death, DeathCode } from '../domain/death.ts'
import type { Reason } from '../domain/reasons.ts'

const TEXTS: Readonly<Record<DeathCode, string>> = {
  revoked: 'The token has been revoked',
  held: 'The token is held',
  expired: 'The token has expired',
}

/** Why a signal of a token aborted: the `reason` of the signal, and so what an aborted `fetch` rejects with. */
export class TokenDeath extends Error {
  override readonly name = 'TokenDeath'
  readonly code: DeathCode
  /** Why it was revoked or held, where the rule says so. */
  readonly reason?: Reason
  readonly tenant: string

  constructor({ code, reason }: Death, tenant: string) {
    // A stack would tell of Knell's insides only, and cost most of the time where very many die at once.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(`${TEXTS[code]}${reason === undefined ? '' : ` (${reason})`}.`)
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    if (reason !== undefined) this.reason = reason
    this.tenant = tenant
  }
}
