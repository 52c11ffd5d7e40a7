import { cases } from './cases.ts'
import type { Bench, Case } from './bench-context.ts'
import { describeMachine } from './machine.ts'
import { parseOptions, type BenchOptions } from './options.ts'
import { Scope } from './scope.ts'
import { fullSizes, quickSizes } from './sizes.ts'
import { tableOf, type Section } from './table.ts'
import { cleanGiven } from '../engines/given.ts'
import { openEngines, type Engines } from '../engines/engines.ts'
import { exitCodeOf, onInterrupt } from '../interrupt.ts'
import { UsageError } from '../usage-error.ts'

const say = (line: string): void => console.error(line)

/** What the case under way has opened. */
let scope = new Scope()

async function runCase(
  { name, title, run }: Case,
  common: Omit<Bench, 'scope'>,
  json: boolean,
): Promise<Section> {
  scope = new Scope()
  const started = performance.now()
  say(title)
  try {
    const { record, ...shown } = await run({ ...common, scope })
    if (json) console.log(JSON.stringify(record))
    return { title, ...shown }
  } finally {
    await scope.release()
    const { amqpUrl, redisUrl, namespace } = common.engines
    // The next case must not find what this one has stored.
    await cleanGiven({ amqpUrl, redisUrl, namespace, services: [] })
    say(`${name}: done in ${((performance.now() - started) / 1000).toFixed(1)} s`)
  }
}

async function runAll(
  { cases: named, json, quick }: BenchOptions,
  engines: Engines,
): Promise<void> {
  const sizes = quick ? quickSizes : fullSizes
  const machine = await describeMachine(engines)
  say(machine)
  const sections: Section[] = []
  for (const one of named.flatMap((name) => cases.filter((each) => each.name === name))) {
    sections.push(await runCase(one, { engines, sizes, say }, json))
  }
  if (json) return
  const warning = quick
    ? '\n--quick: these figures say that the bench works, and nothing else.'
    : ''
  console.log(`\n${machine}${warning}\n\n${tableOf(sections)}\n`)
  console.log(
    'A figure is the median of its rounds [least–most]. Everything runs on the cores named above, so only\nthe ratios of one run mean something; of those, differences under a third are noise.',
  )
}

/** Runs the cases that the arguments name. Returns the exit code; an interrupted case would keep the process alive. */
export async function runBench(args: readonly string[]): Promise<number> {
  let options: BenchOptions
  try {
    options = parseOptions(
      args,
      cases.map(({ name }) => name),
    )
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(error.message)
    return 2
  }
  const interrupted = new Promise<NodeJS.Signals>((resolve) => onInterrupt(resolve))
  const engines = await openEngines({ env: process.env, log: say })
  try {
    const signal = await Promise.race([interrupted, runAll(options, engines)])
    if (signal === undefined) return 0
    say('Stopping ...')
    await scope.release()
    return exitCodeOf(signal)
  } catch (error) {
    console.error(error)
    return 1
  } finally {
    await engines.stop()
  }
}
