import type { DecisionCode, TokenErrorCode } from '../../shared/domain/decision.ts'
import { errorCodes } from '../../shared/domain/errors.ts'

/** The codes of decisions that are no errors as well. The compiler holds this list to the type, both ways. */
export const ownDecisionCodes: Readonly<Record<Exclude<DecisionCode, TokenErrorCode>, true>> = {
  active: true,
  revoked: true,
  held: true,
  expired: true,
  stale: true,
  not_ready: true,
  header_needed: true,
  iat_required: true,
  iat_in_future: true,
  exp_required: true,
  too_many_audiences: true,
  unknown_issuer: true,
}

/** Every code of a decision. */
export const decisionCodes: readonly string[] = [
  ...Object.keys(ownDecisionCodes),
  ...Object.keys(errorCodes).filter((code) => code.startsWith('token_')),
]
