import type { FastifyInstance, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { parseMatch, type Match } from '../shared/domain/claims.ts'
import { KnellError } from '../shared/domain/errors.ts'
import { shown } from '../shared/http/shown-schema.ts'
import type { Idempotency } from '../shared/store/rule-commit.ts'

const MAX_NUMERIC_DATE = 2 ** 33
/** Seconds reach this in the year 5138, milliseconds did in 1973. */
const SURELY_MS = 1e11

export const noteSchema: z.ZodType<string | undefined> = z.string().max(1000).optional()

/** A NumericDate that a caller sends (RFC 7519, section 2); milliseconds are told apart. */
export const numericDateSchema: z.ZodType<number> = shown(
  z
    .number()
    .refine((value) => value < SURELY_MS, {
      message: 'must be a NumericDate, which counts seconds; this looks like milliseconds',
      abort: true,
    })
    .refine(
      (value) => Number.isInteger(value) && value >= 0 && value <= MAX_NUMERIC_DATE,
      'must be a NumericDate: whole seconds since 1970',
    ),
  { type: 'integer', minimum: 0, maximum: MAX_NUMERIC_DATE },
)

/** The claims that a token is spared by. @throws KnellError `invalid_match` */
export function parseExcept(value: unknown): Match | undefined {
  if (value === undefined) return undefined
  const except = parseMatch(value, 'except')
  if (Object.keys(except).length === 0) {
    throw new KnellError('invalid_match', 'except must name at least one claim.')
  }
  if ('kid' in except) {
    throw new KnellError('invalid_match', 'except names payload claims; kid is a header parameter.')
  }
  return except
}

/** An `Idempotency-Key` belongs to API key, tenant and body for 10 minutes. */
export function idempotencyOf(
  app: FastifyInstance,
  request: FastifyRequest,
  tenant: string,
): Idempotency | undefined {
  const sent = request.headers['idempotency-key']
  if (sent === undefined) return undefined
  if (typeof sent !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(sent)) {
    throw new KnellError(
      'invalid_request',
      'Idempotency-Key must be 1 to 128 characters of printable ASCII.',
    )
  }
  const { name } = app.auth.caller(request)
  return {
    key: digest(`${name}\n${tenant}\n${sent}`),
    body: digest(`${request.url}\n${JSON.stringify(request.body)}`),
  }
}

/** What an idempotency key is known by. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
