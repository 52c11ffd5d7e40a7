import type { JsonSchema } from '../shown-schema.ts'

/** Schemas of docs/schemas by their file names. */
export type SchemaFiles = Readonly<Record<string, JsonSchema>>

const PREFIX = '#/components/schemas/'
/** Its definitions are parts of all the others, so they bear their own names. */
const COMMON = 'common.json'

/**
 * The schemas of docs/schemas as components of an OpenAPI document, and whatever refers to them.
 * `entry.json` becomes `Entry`, `entry.json#/$defs/expiry` `EntryExpiry`, `common.json#/$defs/tenant` `Tenant`.
 */
export class Components {
  readonly #files: SchemaFiles

  constructor(files: SchemaFiles) {
    this.#files = files
  }

  /** A schema whose references are to components. `file`: where it stands; absent: in the document itself. */
  resolve(schema: unknown, file?: string): unknown {
    if (Array.isArray(schema)) return schema.map((each) => this.resolve(each, file))
    if (typeof schema !== 'object' || schema === null) return schema
    const { $ref, extends: base, ...own } = schema as Record<string, unknown>
    if (typeof $ref === 'string') {
      return { $ref: $ref.startsWith('#/components/') ? $ref : this.#rename($ref, file) }
    }
    const resolved = mapValues(own, (value) => this.resolve(value, file))
    return typeof base === 'string' ? this.#extend(base, resolved, file) : resolved
  }

  /** Every component that these parts of a document refer to, and what those refer to, by name. */
  reachedFrom(document: unknown): Record<string, unknown> {
    const all = this.#all()
    const found = new Map<string, unknown>()
    const look = (value: unknown): void => {
      for (const name of namesIn(value)) {
        if (found.has(name)) continue
        found.set(name, all.get(name))
        look(all.get(name))
      }
    }
    look(document)
    return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  #all(): Map<string, unknown> {
    const all = new Map<string, unknown>()
    for (const [file, { $defs: _, $schema: __, ...root }] of Object.entries(this.#files)) {
      if (file !== COMMON) all.set(this.#nameOf(file), this.resolve(root, file))
      for (const [name, schema] of Object.entries(this.#definitions(file))) {
        all.set(this.#nameOf(file, name), this.resolve(schema, file))
      }
    }
    return all
  }

  #definitions(file: string): Readonly<Record<string, JsonSchema>> {
    return (this.#files[file]?.['$defs'] ?? {}) as Record<string, JsonSchema>
  }

  #rename(ref: string, from: string | undefined): string {
    const [path = '', pointer = ''] = ref.split('#')
    const file = path === '' ? from : path
    if (file === undefined || !(file in this.#files)) throw new TypeError(`No schema is at ${ref}.`)
    const [, name, rest = ''] = /^\/\$defs\/([^/]+)(.*)$/.exec(pointer) ?? []
    return `${PREFIX}${this.#nameOf(file, name)}${name === undefined ? pointer : rest}`
  }

  #nameOf(file: string, definition?: string): string {
    const name = file.replace('.json', '')
    if (definition === undefined) {
      // A file of one or several of a thing has the one among its definitions.
      const isOfSeveral = name in this.#definitions(file)
      return `${toPascal(name)}${isOfSeveral ? 's' : ''}`
    }
    const isOwn = file === COMMON || definition === name
    return isOwn ? toPascal(definition) : toPascal(name) + toPascal(definition)
  }

  /** The members of a base, then those that are added: composed schemas could not refuse what neither names. */
  #extend(ref: string, added: Record<string, unknown>, from: string | undefined): unknown {
    const [file = '', pointer = ''] = ref.split('#')
    const name = /^\/\$defs\/([^/]+)$/.exec(pointer)?.[1]
    const place = file === '' ? String(from) : file
    const base = name === undefined ? this.#files[place] : this.#definitions(place)[name]
    const { $schema: _, $defs: __, title: ___, ...members } = base ?? {}
    const resolved = this.resolve(members, place) as Record<string, unknown>
    return {
      ...resolved,
      required: [...((resolved['required'] as []) ?? []), ...((added['required'] as []) ?? [])],
      properties: { ...(resolved['properties'] as object), ...(added['properties'] as object) },
    }
  }
}

function mapValues(
  value: Readonly<Record<string, unknown>>,
  map: (value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, map(member)]))
}

function toPascal(name: string): string {
  return name.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function* namesIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return
  const { $ref } = value as Record<string, unknown>
  if (typeof $ref === 'string' && $ref.startsWith(PREFIX)) {
    yield String($ref.slice(PREFIX.length).split('/')[0])
  }
  for (const member of Object.values(value)) yield* namesIn(member)
}
