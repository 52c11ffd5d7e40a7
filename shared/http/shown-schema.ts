import { z } from 'zod'

/** A JSON Schema (2020-12), in part. */
export type JsonSchema = Readonly<Record<string, unknown>>

const shownAs = new WeakMap<z.ZodType, JsonSchema>()

/**
 * Says how the description of the API shows a schema whose checks JSON Schema cannot tell, or which
 * stands for what a parser of the domain looks at. Changes nothing about the schema itself.
 */
export function shown<T extends z.ZodType>(schema: T, as: JsonSchema): T {
  shownAs.set(schema, as)
  return schema
}

/** How a schema is shown, where that was said. */
export function shownAsOf(schema: z.ZodType): JsonSchema | undefined {
  return shownAs.get(schema)
}

/** A schema of docs/schemas, named as those name each other: `entry.json`, `common.json#/$defs/match`. */
export function refTo(ref: string): JsonSchema {
  return { $ref: ref }
}

/** Whatever a schema of docs/schemas describes: messages that the domain reads by itself, and answers made of them. */
export function wire(ref: string): z.ZodType {
  return shown(z.unknown(), refTo(ref))
}
