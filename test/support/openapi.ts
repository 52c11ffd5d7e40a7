import { Ajv2020, type AnySchemaObject, type ValidateFunction } from 'ajv/dist/2020.js'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'
import { close } from './contract-schemas.ts'

interface Content {
  readonly [type: string]: { readonly schema: AnySchemaObject }
}

export interface Operation {
  readonly operationId: string
  readonly 'x-served-by': readonly string[]
  readonly security: readonly { readonly key?: readonly string[] }[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: AnySchemaObject
  }[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content: Content; headers?: object }>>
}

export const openapiFile: string = join(checkout, 'docs', 'openapi.json')

const document = JSON.parse(readFileSync(openapiFile, 'utf8')) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: AnySchemaObject
}

/** Every operation of docs/openapi.json, by `GET /v1/feed`. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  ),
)

const ajv = new Ajv2020({
  strict: true,
  strictTypes: false,
  strictRequired: false,
  allErrors: true,
})
ajv.addKeyword('components')
// What is answered must be named in the document, though a client must let other members pass.
ajv.addSchema({ components: close(document.components) }, 'openapi')
const compiled = new Map<unknown, ValidateFunction>()

/** What is wrong with a value by a schema of the document. */
export function problemsBy(schema: AnySchemaObject, value: unknown): string[] {
  let validate = compiled.get(schema)
  if (validate === undefined) {
    const text = JSON.stringify(close(schema)).replaceAll('"#/components/', '"openapi#/components/')
    validate = ajv.compile(JSON.parse(text) as AnySchemaObject)
    compiled.set(schema, validate)
  }
  if (validate(value)) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  )
}
