import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'

/** The program that stands in the README behind the mark of this name. */
export function exampleIn(name: string): string {
  const text = readFileSync(join(checkout, 'README.md'), 'utf8')
  const mark = `<!-- example: ${name} -->`
  const [, program] = new RegExp(`${mark}\\s+\`\`\`[jt]s\\n([^]+?)\`\`\``).exec(text) ?? []
  if (program === undefined) throw new Error(`The README has no program behind ${mark}.`)
  return program
}
