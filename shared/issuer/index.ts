export { createIssuer } from './create-issuer.ts'
export type { Issuer, IssuerEvents, Reuse } from './create-issuer.ts'
export type { IssuerOptions, SigningKeyInput } from './options.ts'
export type { Check, CheckAnswer } from './checks.ts'
export type { LoginGrant, LogoutOf, RefreshCall, Session, SignGrant, Tokens } from './calls.ts'
export { KnellError, type ErrorCode } from '../domain/errors.ts'
export type { Reason } from '../domain/reasons.ts'
export {
  createRegistrar,
  type Registrar,
  type RegistrarOptions,
  type RegistrarStats,
} from './registrar.ts'
