import { z } from 'zod'
import { KnellError } from '../domain/errors.ts'
import { reasons } from '../domain/reasons.ts'
import { isInstance, isService, isTenant } from '../domain/tenant.ts'
import { refTo, shown, wire } from './shown-schema.ts'

export const tenantSchema: z.ZodType<string | undefined> = shown(
  z.string().refine(isTenant, '1 to 40 characters of A-Z, a-z, 0-9, _ and -, and not "_all"'),
  refTo('common.json#/$defs/tenant'),
).optional()

export const serviceSchema: z.ZodType<string> = shown(
  z.string().refine(isService, '1 to 40 characters of a-z, 0-9 and -'),
  refTo('common.json#/$defs/service'),
)

export const instanceSchema: z.ZodType<string> = shown(
  z.string().refine(isInstance, '1 to 64 characters of A-Z, a-z, 0-9, _ and -'),
  refTo('common.json#/$defs/instance'),
)

/** Claims that the domain's own parser looks at. */
export const matchSchema: z.ZodType = wire('common.json#/$defs/match')

/** What a caller expects to find again in the signed answer: random, so that no older answer can serve. */
export const nonceSchema: z.ZodType<string | undefined> = z
  .string()
  .regex(/^[A-Za-z0-9_-]{16,64}$/, '16 to 64 characters of A-Z, a-z, 0-9, _ and -')
  .optional()

export const reasonSchema: z.ZodType<(typeof reasons)[number] | undefined> = z
  .enum(reasons)
  .optional()

/** What is said of a cursor that no page has answered. */
export const NO_CURSOR = 'must be a cursor that an earlier page answered'

/** Whether a text is a number that Redis can count to: its cursors, and the ids of its streams, have 64 bits. */
export function isStoreCount(text: string): boolean {
  return /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n
}

/** A whole number in a query string. */
export function countSchema(least: number, most: number, fallback: number): z.ZodType<number> {
  const schema = z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be from ${least} to ${most}`)
    .default(fallback)
  return shown(schema, { type: 'integer', minimum: least, maximum: most, default: fallback })
}

/** Checks a value that came over HTTP. @throws KnellError `invalid_request` that lists every problem */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const problems = result.error.issues.slice(0, 10).map((issue) => {
    const path = issue.path.map(String).join('.')
    return path === '' ? issue.message : `${path}: ${issue.message}`
  })
  throw new KnellError('invalid_request', `The ${what} is not acceptable: ${problems.join('; ')}.`)
}
