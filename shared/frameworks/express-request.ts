import type { Claims } from '../domain/claims.ts'
import type { TokenContext } from './guard.ts'

/** What a guard adds to a request. */
export interface RequestToken {
  /** The verified claims of the request's token. */
  auth?: Claims
  /** The decision on the token, its header and tenant, and a signal that aborts when it dies. */
  knell?: TokenContext
}

declare global {
  // Where Express's types let others add to its request; without them this says nothing.
  namespace Express {
    interface Request extends RequestToken {}
  }
}
