import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { LoadHook, ResolveHook } from 'node:module'
import { edited, type Edit } from './mutations.ts'

/**
 * Module hooks of a simulation's process: amqplib gives way to the simulated broker, and a mutation
 * changes the text of the compiled file that it is about. Nothing else of Knell is replaced.
 */
let edits: readonly Edit[] = []

export function initialize(given: { edits: readonly Edit[] }): void {
  edits = given.edits
}

export const resolve: ResolveHook = async (specifier, context, next) =>
  specifier === 'amqplib'
    ? { url: new URL('amqplib.js', import.meta.url).href, shortCircuit: true, format: 'module' }
    : next(specifier, context)

export const load: LoadHook = async (url, context, next) => {
  const own = edits.filter(({ file }) => file.includes('/') && url.endsWith(`/dist/${file}`))
  if (own.length === 0) return next(url, context)
  let source = await readFile(fileURLToPath(url), 'utf8')
  for (const edit of own) source = edited(source, edit, url)
  return { format: 'module', source, shortCircuit: true }
}
