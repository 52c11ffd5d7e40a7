import { parseArgs } from 'node:util'
import { nearMatch } from '../../config/near-match.ts'
import { UsageError } from '../usage-error.ts'

export interface BenchOptions {
  /** In the order they were named in. */
  readonly cases: readonly string[]
  readonly json: boolean
  readonly quick: boolean
}

/** Reads `[cases] [--json] [--quick]`; no case at all means every one. @throws UsageError */
export function parseOptions(args: readonly string[], known: readonly string[]): BenchOptions {
  let parsed
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean' }, quick: { type: 'boolean' } },
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
  return {
    cases: positionals.length > 0 ? [...new Set(positionals)] : known,
    json: values.json === true,
    quick: values.quick === true,
  }
}

function usage(known: readonly string[]): string {
  return `Usage: npm run bench -- [case ...] [--json] [--quick]\nCases: ${known.join(', ')}. Without one, all are run.`
}
