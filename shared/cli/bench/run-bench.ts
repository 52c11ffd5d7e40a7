import { cases } from './cases.ts'
import type { Bench, Case } from './bench-context.ts'
import { describeMachine, readMachine } from './machine.ts'
import { parseOptions, type BenchOptions } from './options.ts'
import type { Line } from './result.ts'
import { Scope } from './scope.ts'
import { fullSizes, quickSizes } from './sizes.ts'
import { tableOf } from './table.ts'
import { writePages } from './write-pages.ts'
import { cleanGiven } from '../engines/given.ts'
import { openEngines, type Engines } from '../engines/engines.ts'
import { exitCodeOf, onInterrupt } from '../interrupt.ts'
import { UsageError } from '../usage-error.ts'

const say = (line: string): void => console.error(line)

/** What the case under way has opened. */
let scope = new Scope()

/** One case, and then a store without what it has left. A case that fails keeps no other from running. */
async function runCase(
  { name, title, run }: Case,
  common: Omit<Bench, 'scope'>,
  signal: AbortSignal,
): Promise<Line> {
  scope = new Scope()
  const started = performance.now()
  const seconds = (): number => Math.round((performance.now() - started) / 100) / 10
  say(title)
  let line: Line
  try {
    const { record, ...shown } = await run({ ...common, scope })
    line = { ...record, title, ...shown, seconds: seconds() }
  } catch (error) {
    // What an interrupt closes fails, and is no fault of the case.
    signal.throwIfAborted()
    console.error(error)
    const problem = error instanceof Error ? error.message : String(error)
    line = { case: name, title, error: problem, seconds: seconds() }
  }
  try {
    await scope.release()
    const { amqpUrl, redisUrl, namespace } = common.engines
    await cleanGiven({ amqpUrl, redisUrl, namespace, services: [] })
  } catch (error) {
    signal.throwIfAborted()
    console.error(error)
  }
  say(`${name}: ${'error' in line ? 'broke off' : 'done'} in ${seconds()} s`)
  return line
}

/** Returns the exit code: 1 where a case has failed. */
async function runAll(
  { cases: named, json, quick, write }: BenchOptions,
  engines: Engines,
  signal: AbortSignal,
): Promise<number> {
  const sizes = quick ? quickSizes : fullSizes
  const machine = await readMachine(engines)
  say(describeMachine(machine))
  const started = performance.now()
  const date = new Date().toISOString().slice(0, 10)
  const lines: Line[] = []
  for (const one of named.flatMap((name) => cases.filter((each) => each.name === name))) {
    const line = await runCase(one, { engines, sizes, say }, signal)
    lines.push(line)
    if (json) console.log(JSON.stringify(line))
  }
  const broken = lines.filter((line) => 'error' in line).map((line) => line.case)
  if (broken.length > 0) say(`Broke off: ${broken.join(', ')}.`)
  if (write) {
    const seconds = Math.round((performance.now() - started) / 1000)
    const head = { date, seconds, machine, ...(quick ? { quick } : {}) }
    await writePages({ head, lines })
  }
  if (!json) {
    const warning = quick
      ? '\n--quick: these figures say that the bench works, and nothing else.'
      : ''
    console.log(`\n${describeMachine(machine)}${warning}\n\n${tableOf(lines)}\n`)
    console.log(
      'A figure is the median of its rounds [least–most]. Everything runs on the cores named above, so only\nthe ratios of one run mean something; of those, differences under a third are noise.',
    )
  }
  return broken.length > 0 ? 1 : 0
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
  const stopping = new AbortController()
  const interrupted = new Promise<NodeJS.Signals>((resolve) =>
    onInterrupt((signal) => {
      stopping.abort()
      resolve(signal)
    }),
  )
  const engines = await openEngines({ env: process.env, log: say })
  try {
    const ended = await Promise.race([interrupted, runAll(options, engines, stopping.signal)])
    if (typeof ended === 'number') return ended
    say('Stopping ...')
    await scope.release()
    return exitCodeOf(ended)
  } catch (error) {
    console.error(error)
    return 1
  } finally {
    await engines.stop()
  }
}
