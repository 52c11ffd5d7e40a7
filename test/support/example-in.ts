import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'

/** The program that stands in a page of the docs behind the mark of this name. */
export function exampleIn(name: string, page: string = 'docs/subscriber.md'): string {
  const text = readFileSync(join(checkout, page), 'utf8')
  const mark = `<!-- example: ${name} -->`
  const [, program] = new RegExp(`${mark}\\s+\`\`\`[jt]s\\n([^]+?)\`\`\``).exec(text) ?? []
  if (program === undefined) throw new Error(`${page} has no program behind ${mark}.`)
  return program
}
