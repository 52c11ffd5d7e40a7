import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { errorCodes } from '../domain/errors.ts'
import type { Call } from '../http/calls/call.ts'
import type { SchemaFiles } from '../http/openapi/components.ts'
import { toOpenApi } from '../http/openapi/to-openapi.ts'
import { checkout, compiled } from './checkout.ts'

/**
 * `npm run contracts`: writes docs/openapi.json anew from the schemas that the routes read with, and
 * the codes into docs/schemas/problem.json. `--check` writes nothing and ends with 1 where
 * anything would change.
 */

const schemaFolder = join(checkout, 'docs', 'schemas')

/** The notifier's calls and the shared ones; imported by its path, since nothing in shared knows the processes. */
async function readCalls(): Promise<readonly Call[]> {
  const file = join(compiled, 'notifier', 'calls', 'all-calls.js')
  const { allCalls } = (await import(pathToFileURL(file).href)) as { allCalls: readonly Call[] }
  return allCalls
}

function readSchemas(): SchemaFiles {
  return Object.fromEntries(
    readdirSync(schemaFolder)
      .filter((file) => file.endsWith('.json'))
      .sort()
      .map((file) => [file, JSON.parse(readFileSync(join(schemaFolder, file), 'utf8')) as object]),
  ) as SchemaFiles
}

async function toText(document: object): Promise<string> {
  const config = await resolveConfig(join(checkout, 'package.json'))
  return format(JSON.stringify(document), { ...config, parser: 'json' })
}

function withCodes(problem: string): string {
  const codes = Object.keys(errorCodes).map((code) => `        "${code}"`)
  return problem.replace(/("code": \{\s+"enum": \[)[^\]]*/, `$1\n${codes.join(',\n')}\n      `)
}

const problemFile = join(schemaFolder, 'problem.json')
const problem = withCodes(readFileSync(problemFile, 'utf8'))
const schemas = { ...readSchemas(), 'problem.json': JSON.parse(problem) as object } as SchemaFiles
const files = {
  [problemFile]: problem,
  [join(checkout, 'docs', 'openapi.json')]: await toText(toOpenApi(await readCalls(), schemas)),
}

for (const [file, text] of Object.entries(files)) {
  if (textOf(file) === text) continue
  if (process.argv.includes('--check')) {
    console.error(`${file} is not what the code says; run npm run contracts.`)
    process.exitCode = 1
  } else {
    writeFileSync(file, text)
    console.error(`Wrote ${file}.`)
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
