import { availableParallelism } from 'node:os'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { onInterrupt } from '../../shared/cli/interrupt.ts'
import { orExit } from '../../shared/cli/usage-error.ts'
import { Crew } from './crew.ts'
import { faultNames } from './mischief.ts'
import { mutations, type Mutation } from './mutations.ts'
import type { Outcome } from './run.ts'

/**
 * `npm run simulate [-- --runs N] [--seed FIRST] [--workers N] [--mutation NAME] [--digests] [--verbose]`: runs
 * seeds, in their order, until one shows that a promise was broken; then it ends with 1. `--seconds` begins none
 * after that time. `--workers` play side by side, as many as there are cores where it is not said. `--digests`
 * prints what each seed's history comes to, `--verbose` all of it, of one seed at a time.
 */
const values = orExit(
  () =>
    parseArgs({
      options: {
        seed: { type: 'string' },
        runs: { type: 'string' },
        seconds: { type: 'string' },
        workers: { type: 'string' },
        faults: { type: 'string' },
        mutation: { type: 'string' },
        digests: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
      },
    }).values,
)

const MAX_SEED = 2 ** 31
const TAIL = 60

function numberOf(name: 'seed' | 'runs' | 'seconds' | 'workers', otherwise: number): number {
  const given = values[name]
  if (given === undefined) return otherwise
  const least = name === 'seed' ? 0 : 1
  if (!/^\d{1,10}$/.test(given) || Number(given) < least) {
    throw new Error(`--${name} must be a whole number, ${least} at least.`)
  }
  return Number(given)
}

function faultsOf(given: string | undefined): readonly string[] | undefined {
  const named = given === '' ? [] : given?.split(',')
  if (named?.every((each) => faultNames.includes(each)) ?? true) return named
  throw new Error(`--faults must be some of ${faultNames.join(', ')}, parted by commas.`)
}

function mutationOf(name: string | undefined): Mutation | undefined {
  if (name === undefined) return undefined
  const found = mutations.find((each) => each.name === name)
  if (found !== undefined) return found
  throw new Error(`--mutation must be one of ${mutations.map((each) => each.name).join(', ')}.`)
}

const { mutation: name, faults, verbose } = values
const { first, runs, seconds, asked, mutation, only } = orExit(() => ({
  first: numberOf('seed', Math.floor(Math.random() * MAX_SEED)),
  runs: numberOf('runs', values.seed === undefined ? 100 : 1),
  seconds: numberOf('seconds', Infinity),
  asked: verbose ? 1 : numberOf('workers', availableParallelism()),
  mutation: mutationOf(name),
  only: faultsOf(faults),
}))
const workers = Math.min(asked, runs)

const crew = new Crew()
onInterrupt(() => crew.interrupt())
const total = { runs: 0, events: 0, commits: 0, decisions: 0, enforced: 0 }
const outcomes: Outcome[] = []
try {
  await crew.open(workers, {
    mutation: name,
    only: only ?? mutation?.faults,
    verbose,
  })
  const started = performance.now()
  let seed = first
  await crew.play(
    () => {
      const isOver = seed >= first + runs || performance.now() - started > seconds * 1000
      return isOver ? undefined : seed++
    },
    (outcome) => {
      outcomes.push(outcome)
      return outcome.violations.length === 0 ? 'go on' : 'enough'
    },
  )
  report((performance.now() - started) / 1000)
} finally {
  await crew.close()
}

/** In the order of the seeds; of those that show something only the first. */
function report(seconds: number): void {
  for (const outcome of outcomes.sort((a, b) => a.seed - b.seed)) {
    total.runs += 1
    for (const each of ['events', 'commits', 'decisions', 'enforced'] as const) {
      total[each] += outcome[each]
    }
    if (values.digests) console.log(`${outcome.seed} ${outcome.digest}`)
    if (outcome.violations.length === 0) continue
    tellOf(outcome)
    process.exitCode = 1
    break
  }
  const { events, commits, decisions, enforced } = total
  console.error(
    `${total.runs} runs from seed ${first} in ${seconds.toFixed(1)} s: ${events} events, ${commits} changes, ${decisions} decisions, ${enforced} waits done.`,
  )
}

function tellOf({ seed, violations, tail }: Outcome): void {
  for (const line of tail.slice(-TAIL)) console.log(line)
  console.log(`\nSeed ${seed} shows: ${violations.join('\n')}`)
  const only = faults === undefined ? '' : ` --faults ${faults}`
  const mutated = name === undefined ? '' : ` --mutation ${name}`
  console.log(`Again: npm run simulate -- --seed ${seed}${only}${mutated} --verbose`)
}
