import { z } from 'zod'
import { shown, wire, type JsonSchema } from '../shown-schema.ts'

/** Parts that answers share. */

const common = (name: string): z.ZodType => wire(`common.json#/$defs/${name}`)

export const tenant: z.ZodType = common('tenant')
export const service: z.ZodType = common('service')
export const instance: z.ZodType = common('instance')
export const log: z.ZodType = common('log')
export const shard: z.ZodType = common('shard')
export const epoch: z.ZodType = common('epoch')
export const seq: z.ZodType = common('seq')
export const count: z.ZodType = common('count')
export const timeMs: z.ZodType = common('timeMs')
export const date: z.ZodType = common('numericDate')
export const match: z.ZodType = common('match')
export const reason: z.ZodType = common('reason')
export const tails: z.ZodType = common('tails')
export const maxTokenTtl: z.ZodType = common('maxTokenTtl')

export const dateOrNull: z.ZodType = z.union([date, z.null()])
export const countOrNull: z.ZodType = z.union([count, z.null()])

export const kind: z.ZodType = z.enum([
  'revoked',
  'held',
  'released',
  'restored',
  'expired',
  'expiring',
])

/** A position, as numbers. */
export const position: z.ZodType = z.object({ term: count, seq: count })

export const outcome: z.ZodType = z.enum(['release', 'revoke'])

/** The members of a schema of docs/schemas, with others. */
export function extended(
  ref: string,
  more: { readonly required?: readonly string[]; readonly properties: JsonSchema },
): z.ZodType {
  return shown(z.unknown(), { extends: ref, ...more })
}

const ref = (name: string): object => ({ $ref: `common.json#/$defs/${name}` })

/** A rule with the place at which it was last written, and cut-offs that are left off the wire. */
export const shownRuleSchema: JsonSchema = {
  extends: 'rule.json',
  required: ['shard', 'epoch', 'seq'],
  properties: {
    shard: ref('shard'),
    epoch: ref('epoch'),
    seq: ref('seq'),
    allCutoffs: {
      description:
        'Also those that another one dominates, with the ids of what was folded into them.',
      type: 'array',
      items: {
        extends: 'rule.json#/$defs/cutoff',
        properties: { folded: { type: 'array', items: { type: 'string' } } },
      },
    },
  },
}

export const shownRule: z.ZodType = shown(z.unknown(), shownRuleSchema)
