import type { Algorithm } from '../tokens/algorithms.ts'
import type { Check } from './checks.ts'

/** A private key of one's own: exactly one of `jwk` and `pem`. */
export interface SigningKeyInput {
  /** The name that tokens call the key by. Default: the `kid` of `jwk`. */
  readonly kid?: string
  /** Default: the `alg` of `jwk`, else the first that the key fits. */
  readonly alg?: Algorithm
  /** RFC 7517, with its private part. */
  readonly jwk?: Readonly<Record<string, unknown>>
  /** A private key in PEM. */
  readonly pem?: string
}

export interface IssuerOptions {
  /** Of notifiers, tried in order; where there are several, the next one takes over from one that does not answer. */
  readonly url: string | readonly string[]
  /** The secret of an API key with `tokens:issue`; for `sign` also with `tokens:write`. */
  readonly apiKey: string
  /** Default `default`. */
  readonly tenant?: string
  /** What decides at each refresh, besides Knell's own rules, in this order. Default: nothing. */
  readonly checks?: readonly Check[]
  /** For `sign`: the `iss` of the tokens, and the key that signs them. */
  readonly keys?: { readonly issuer: string; readonly key: SigningKeyInput }
  /** How long one try of a call may take, in ms. Default 5000. */
  readonly timeoutMs?: number
}
