import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'

/** A fenced block of a page that is meant to be run or built by its reader. */
export interface DocBlock {
  readonly page: string
  /** Of the fence, from 1. */
  readonly line: number
  readonly language: string
  /** The comment above the fence, such as `run` or `example: subscriber.js`. */
  readonly mark: string | undefined
  readonly text: string
}

const programs = new Set(['sh', 'bash', 'js', 'ts', 'python', 'nginx'])

/** Every page of the docs, by its path in the checkout. */
export const docPages: readonly string[] = [
  ...readdirSync(checkout),
  ...readdirSync(join(checkout, 'docs'), { recursive: true }).map((file) => `docs/${String(file)}`),
].filter((file) => file.endsWith('.md'))

/** The commands and programs of a page, in order. */
export function blocksIn(page: string): DocBlock[] {
  const lines = readFileSync(join(checkout, page), 'utf8').split('\n')
  const blocks: DocBlock[] = []
  for (let at = 0; at < lines.length; at += 1) {
    const language = /^```(\w+)/.exec(lines[at] ?? '')?.[1]
    if (!lines[at]?.startsWith('```')) continue
    const end = lines.indexOf('```', at + 1)
    if (language !== undefined && programs.has(language)) {
      const text = lines.slice(at + 1, end).join('\n')
      blocks.push({ page, line: at + 1, language, mark: markAbove(lines, at), text })
    }
    at = end
  }
  return blocks
}

function markAbove(lines: readonly string[], at: number): string | undefined {
  const above = lines[at - 1] === '' ? lines[at - 2] : lines[at - 1]
  return /^<!-- (.+) -->$/.exec(above ?? '')?.[1]
}
