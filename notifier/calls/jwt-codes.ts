import type { ErrorCode } from '../../shared/domain/errors.ts'

/** What a call may answer since the JWT that it was sent is not as it should be. */
export const jwtCodes: readonly ErrorCode[] = [
  'token_malformed',
  'token_too_large',
  'token_alg_refused',
  'token_header_refused',
  'token_unknown_key',
  'token_signature_invalid',
  'token_wrong_issuer',
  'token_wrong_audience',
  'token_wrong_type',
  'token_claims_invalid',
  'token_not_yet_valid',
]
