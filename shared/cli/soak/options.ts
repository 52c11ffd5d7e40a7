import { parseArgs } from 'node:util'
import { nearMatch } from '../../config/near-match.ts'
import type { LoadOptions } from '../load/run-load.ts'
import { UsageError } from '../usage-error.ts'

export interface SoakOptions {
  readonly minutes: number
  readonly seed: number
  /** Loses an acknowledged revocation on purpose, to show that the check finds it. */
  readonly lose: boolean
}

const MOST_MINUTES = 1440
const MOST_SEED = 1e9

/**
 * Reads `[--minutes 10] [--seed N] [--lose]`, or `--case NAME [--quick] [--json]` for the loads among
 * `known`. @throws UsageError
 */
export function parseOptions(
  args: readonly string[],
  known: readonly string[],
): { readonly soak: SoakOptions } | { readonly load: LoadOptions } {
  const values = read(args, known)
  const { minutes, seed, lose, case: cases = [], quick, json } = values
  if (cases.length > 0) {
    for (const name of cases) assertKnown(name, known)
    return { load: { cases: cases.includes('all') ? known : cases, quick, json } }
  }
  if (quick || json) throw wrong('--quick and --json belong to --case', known)
  if (!(Number(minutes) > 0 && Number(minutes) <= MOST_MINUTES)) {
    throw wrong(
      `--minutes: expected a number above 0, up to ${MOST_MINUTES}, found "${minutes}"`,
      known,
    )
  }
  if (!/^\d{1,9}$/.test(seed)) {
    throw wrong(`--seed: expected a whole number of up to 9 digits, found "${seed}"`, known)
  }
  return { soak: { minutes: Number(minutes), seed: Number(seed), lose } }
}

function read(args: readonly string[], known: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string', default: '10' },
        seed: { type: 'string', default: `${Math.floor(Math.random() * MOST_SEED)}` },
        lose: { type: 'boolean', default: false },
        case: { type: 'string', multiple: true },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw wrong((error as Error).message, known, error)
  }
}

function assertKnown(name: string, known: readonly string[]): void {
  if (name === 'all' || known.includes(name)) return
  const near = nearMatch(name, known)
  throw wrong(
    `There is no case "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
    known,
  )
}

function wrong(problem: string, known: readonly string[], cause?: unknown): UsageError {
  const usage = [
    'Usage: npm run soak -- [--minutes 10] [--seed N] [--lose]',
    '       npm run soak -- --case NAME [--case NAME …] [--quick] [--json]',
    `Cases: ${known.join(', ')}, or all.`,
  ]
  return new UsageError([problem, ...usage].join('\n'), { cause })
}
