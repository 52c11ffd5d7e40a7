import { Ajv2020, type AnySchemaObject, type ErrorObject } from 'ajv/dist/2020.js'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'

const folder = join(checkout, 'docs', 'schemas')

/** The JSON Schemas of docs/schemas by their file names. */
export const contractSchemas: Readonly<Record<string, AnySchemaObject>> = Object.fromEntries(
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => [file, JSON.parse(readFileSync(join(folder, file), 'utf8')) as AnySchemaObject]),
)

/** What is wrong with a value; empty where nothing is. */
export type Check = (value: unknown) => readonly string[]

/**
 * Checks values against schemas of docs/schemas, named as in a `$ref`: `entry.json`,
 * `snapshot-line.json#/$defs/head`. `closed`: a member that no schema names is wrong too, which tells
 * a test that something undocumented is sent; a subscriber must let it pass.
 */
export function createChecker(options: { closed?: boolean } = {}): (ref: string) => Check {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true })
  for (const [file, schema] of Object.entries(contractSchemas)) {
    ajv.addSchema(options.closed === true ? (close(schema) as AnySchemaObject) : schema, file)
  }
  return (ref) => {
    const validate = ajv.getSchema(ref) ?? ajv.compile({ $ref: ref })
    return (value) => (validate(value) ? [] : (validate.errors ?? []).map(textOf))
  }
}

function textOf({ instancePath, message, params }: ErrorObject): string {
  return `${instancePath} ${message} ${JSON.stringify(params)}`
}

/** The same schema, but for objects that name their members and so admit no other. */
export function close(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(close)
  if (typeof schema !== 'object' || schema === null) return schema
  const closed = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, close(value)]),
  )
  const isOpen = 'properties' in closed && closed['type'] === 'object'
  return isOpen && !('additionalProperties' in closed)
    ? { ...closed, additionalProperties: false }
    : closed
}
