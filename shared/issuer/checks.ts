import type { Claims } from '../domain/claims.ts'
import { KnellError } from '../domain/errors.ts'
import type { Reason } from '../domain/reasons.ts'
import type { Session } from './calls.ts'

/** What a check answers; nothing at all lets the refresh go on. */
export interface CheckAnswer {
  /** Claims of one's own that the tokens of the session have from now on; each replaces one of the same name. */
  readonly claims?: Claims
  /** Refuses the refresh, and says why: in the error, not to the user. The refresh token stays as it was. */
  readonly refuse?: string
  /** With `refuse`: ends the session too, for this reason, so that its access tokens die at once. */
  readonly end?: Reason
}

/**
 * Decides on a refresh: whether the account is active, which roles it has, how great the risk is. One
 * that throws fails the refresh with what it threw, and nothing has changed.
 */
export type Check = (session: Session) => Promise<CheckAnswer | void> | CheckAnswer | void

export interface Checked {
  /** Absent where no check gave any. */
  readonly claims?: Claims
  readonly refused?: { readonly why: string; readonly end: Reason | undefined }
}

/** Asks each check in turn, up to the first that refuses. */
export async function runChecks(checks: readonly Check[], session: Session): Promise<Checked> {
  let claims: Claims | undefined
  for (const check of checks) {
    const answer = await check({ ...session, claims: claims ?? session.claims })
    if (answer?.refuse !== undefined) {
      return { refused: { why: answer.refuse, end: answer.end } }
    }
    if (answer?.claims !== undefined) claims = { ...session.claims, ...claims, ...answer.claims }
  }
  return claims === undefined ? {} : { claims }
}

export function checkRefused(why: string, { sid, sub }: Session, hasEnded: boolean): KnellError {
  return new KnellError('check_refused', `A check refused the refresh: ${why}`, {
    details: { why, sid, sub, ended: hasEnded },
  })
}
