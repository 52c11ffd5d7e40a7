import fc from 'fast-check'
import { randomInt } from 'node:crypto'
import { watched } from './hang-watch.ts'

/** How much is done, and from which seed: one `FUZZ_SEED` replays a run, `FUZZ_RUNS` multiplies the work. */
const seed: number = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31))
const times: number = Number(process.env['FUZZ_RUNS'] ?? 1)

process.stdout.write(`Fuzzing from FUZZ_SEED=${seed}, FUZZ_RUNS=${times}\n`)

interface Effort {
  readonly runs: number
  /** ms that one input may take. */
  readonly boundMs?: number
  /** How many inputs are tried together as one. */
  readonly each?: number
}

/** Far above what the slowest input needs on a busy machine, far below what a caller would wait. */
const BOUND_MS = 3000

/** An input in a form that can be copied into a test. */
export function shown(input: unknown): string {
  if (!(input instanceof Uint8Array)) return fc.stringify(input)
  const start = Buffer.from(input.subarray(0, 2000))
  return `${input.length} bytes, as text ${JSON.stringify(start.toString('utf8'))}, in base64 ${start.toString('base64')}`
}

/** Tells a failing input in a form that can be copied into a test, and how the run is had again. */
function tell<T>(result: fc.RunDetails<T>): void {
  if (!result.failed) return
  const { counterexample, errorInstance, counterexamplePath, numRuns } = result
  const inputs = (counterexample as readonly unknown[] | null) ?? []
  // What is more than bytes is told by whoever looks into it.
  const told = inputs.map((one) =>
    one instanceof Uint8Array || typeof one !== 'object' ? shown(one) : 'told below',
  )
  const why =
    errorInstance instanceof Error
      ? (errorInstance.stack ?? errorInstance.message)
      : String(errorInstance)
  throw new Error(
    `After ${numRuns} inputs this one failed: ${told.join(' and ')}\nReplay: FUZZ_SEED=${seed} (path ${counterexamplePath ?? 'none'})\n${why}`,
  )
}

/** Inputs done so far, by what was fuzzed. */
const counts = new Map<string, number>()
process.once('exit', () => {
  const sum = [...counts.values()].reduce((one, other) => one + other, 0)
  process.stdout.write(`${sum} inputs to ${counts.size} readers from FUZZ_SEED=${seed}\n`)
})

/** Tries a function on many inputs; whatever it throws fails the test with the input. Slow inputs fail, too. */
export function fuzz<T>(
  what: string,
  inputs: fc.Arbitrary<T>,
  check: (input: T) => void,
  { runs, boundMs = BOUND_MS }: Effort,
): void {
  const timed = (input: T): void => {
    const tookMs = timeOf(() => watched(seed, () => check(input)))
    if (tookMs <= boundMs) return
    // The machine may have been away; an input that is slow is slow again.
    const again = timeOf(() => check(input))
    if (again > boundMs) throw new Error(`It took ${Math.round(again)} ms.`)
  }
  tell(fc.check(fc.property(inputs, timed), { seed, numRuns: runs * times, endOnFailure: false }))
  count(what, runs * times)
}

/** The same for what has to be waited for. Its inputs are not brought down to the least that fails, since each costs a while. */
export async function fuzzAsync<T>(
  what: string,
  inputs: fc.Arbitrary<T>,
  check: (input: T) => Promise<void>,
  { runs, boundMs = BOUND_MS, each = 1 }: Effort,
): Promise<void> {
  const timed = async (input: T): Promise<void> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Nothing came within ${boundMs} ms.`)), boundMs)
    })
    try {
      await Promise.race([check(input), late])
    } finally {
      clearTimeout(timer)
    }
  }
  const property = fc.asyncProperty(inputs, timed)
  tell(await fc.check(property, { seed, numRuns: runs * times, endOnFailure: true }))
  count(what, runs * times * each)
}

function count(what: string, runs: number): void {
  counts.set(what, (counts.get(what) ?? 0) + runs)
}

function timeOf(work: () => void): number {
  const started = performance.now()
  work()
  return performance.now() - started
}
