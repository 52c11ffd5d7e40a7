import { z } from 'zod'
import { shownAsOf, type JsonSchema } from '../shown-schema.ts'

/**
 * A zod schema as JSON Schema: of what is sent (`input`) or answered (`output`). An answer may have
 * members that are not named, since later releases add some.
 */
export function toSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    override({ zodSchema, jsonSchema }) {
      const shown = shownAsOf(zodSchema as unknown as z.ZodType)
      if (shown !== undefined) {
        for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
        Object.assign(jsonSchema, shown)
      }
      if (io === 'output' && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties
      }
    },
  }) as Record<string, unknown>
  return json
}
