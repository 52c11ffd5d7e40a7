import type { z } from 'zod'
import type { Scope } from '../../config/api-keys.ts'
import type { ErrorCode } from '../../domain/errors.ts'
import type { ProcessKind } from '../../config/settings.ts'

/** The schemas with which a route reads what it is sent: of the query, of a JSON body, of a line of NDJSON, of a form. */
interface Taken {
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  readonly line?: z.ZodType
  readonly form?: z.ZodType
}

/** What the calls of a route file take, by `GET /v1/feed`. */
export type Takes = Readonly<Record<string, Taken>>

/** One answer of a call. `content`: by media type. */
export interface Answer {
  readonly description: string
  readonly content: Readonly<Record<string, z.ZodType>>
}

/** Headers that a call looks at besides those of every call. */
export type CallHeader = 'idempotency-key' | 'knell-via' | 'prefer'

/**
 * One call of the HTTP API as docs/openapi.json describes it. What it takes is the very schema that
 * its route reads with; what it answers is held to real answers by test/system/openapi.test.ts.
 */
export interface Call extends Taken {
  /** `GET /v1/feed`. */
  readonly call: string
  /** Its name for generated clients. */
  readonly id: string
  readonly servedBy: readonly ProcessKind[]
  readonly summary: string
  readonly description?: string
  /** One of these is needed; none: the call asks for no key. */
  readonly scopes: readonly Exclude<Scope, '*'>[]
  readonly headers?: readonly CallHeader[]
  readonly answers: Readonly<Record<number, Answer>>
  /** Whether OAuth clients call it, instead of callers with a key or besides them; its errors are OAuth's then. Those without a secret only where told. */
  readonly clients?: 'confidential' | 'any'
  /** What it may answer besides what every call with a key may. */
  readonly codes?: readonly ErrorCode[]
}

export const BOTH: readonly ProcessKind[] = ['notifier', 'poller']
export const NOTIFIER: readonly ProcessKind[] = ['notifier']

/** One answer in JSON. */
export function json(description: string, schema: z.ZodType): Answer {
  return { description, content: { 'application/json': schema } }
}
