import type { Claims, Header } from '../../../domain/claims.ts'

/** A session asks this often, on average, ms. */
export const EVERY_MS = 2000

/** A token whose signature has been verified. */
export interface Verified {
  readonly token: string
  readonly header: Header
  readonly claims: Claims
}

/** One strategy as a service uses it. */
export interface Gate {
  /** All that a request needs: verifying the signature, and asking. False for a token that is refused. */
  admit(token: string): boolean | Promise<boolean>
  /** What the strategy adds to verifying. Absent where nothing is added, or where verifying is part of it. */
  readonly ask?: (verified: Verified) => boolean | Promise<boolean>
  /** Calls over the network so far. */
  calls(): number
  /**
   * Lets its time pass as at the rate of requests that the options tell, however fast they really
   * come. Absent where the rate makes no difference.
   */
  readonly pace?: (isPaced: boolean) => void
  /** Makes it remember so many tokens, where it remembers tokens. */
  readonly fill?: (count: number) => void
  close(): void | Promise<void>
}

/** All that any strategy needs; the parent makes it, so it must survive a message between processes. */
export interface GateOptions {
  /** Whatever may have signed the tokens. */
  readonly keys: readonly { readonly kid: string; readonly pem: string }[]
  readonly issuer: string
  readonly audience: string
  readonly amqpUrl: string
  readonly redisUrl: string
  readonly namespace: string
  /** A notifier that issues tokens of its own as well, and one that answers for registered ones only. */
  readonly url: string
  readonly statefulUrl: string
  readonly apiKey: string
  /** How long a local cache believes what Redis has said. */
  readonly cacheMs: number
  /** How often a session asks for something, on average. */
  readonly everyMs: number
  /** How many sessions ask. */
  readonly sessions: number
}

export type OpenGate = (options: GateOptions) => Promise<Gate>
