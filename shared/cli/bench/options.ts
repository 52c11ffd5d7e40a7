import { parseArgs } from 'node:util'
import { nearMatch } from '../../config/near-match.ts'
import { UsageError } from '../usage-error.ts'

export interface BenchOptions {
  /** In the order they were named in. */
  readonly cases: readonly string[]
  readonly json: boolean
  readonly quick: boolean
  /** Whether the pages of the figures are to be written. */
  readonly write: boolean
}

/** Reads `[cases] [--json] [--quick] [--write]`; no case at all means every one. @throws UsageError */
export function parseOptions(args: readonly string[], known: readonly string[]): BenchOptions {
  let parsed
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        quick: { type: 'boolean' },
        write: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${usage(known)}`, { cause: error })
  }
  const { positionals, values } = parsed
  const strange = positionals.filter((name) => !known.includes(name))
  if (strange.length > 0) {
    const problems = strange.map((name) => {
      const near = nearMatch(name, known)
      return `There is no case "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`
    })
    throw new UsageError(`${problems.join('\n')}\n${usage(known)}`)
  }
  if (values.write === true && positionals.length > 0) {
    const problem = '--write is of one complete run: name no case.'
    throw new UsageError(`${problem}\n${usage(known)}`)
  }
  return {
    cases: positionals.length > 0 ? [...new Set(positionals)] : known,
    json: values.json === true,
    quick: values.quick === true,
    write: values.write === true,
  }
}

function usage(known: readonly string[]): string {
  return `Usage: npm run bench -- [case ...] [--json] [--quick] [--write]\nCases: ${known.join(', ')}. Without one, all are run.`
}
