import { describeMachine, readMachine } from '../bench/machine.ts'
import { Scope } from '../bench/scope.ts'
import { quickSizes } from '../bench/sizes.ts'
import { show } from '../bench/statistics.ts'
import { cleanGiven } from '../engines/given.ts'
import { openEngines, type Engines } from '../engines/engines.ts'
import { exitCodeOf, onInterrupt } from '../interrupt.ts'
import { loadCases } from './cases.ts'
import type { LoadCase, LoadResult } from './load-case.ts'

export interface LoadOptions {
  readonly cases: readonly string[]
  readonly quick: boolean
  readonly json: boolean
}

const say = (line: string): void => console.error(line)

/** Runs the loads that are named, one after the other; returns 0 where every promise was kept. */
export async function runLoad(options: LoadOptions): Promise<number> {
  let scope = new Scope()
  let interruptedBy: NodeJS.Signals | undefined
  onInterrupt((signal) => {
    interruptedBy = signal
    say('Stopping ...')
    void scope.release()
  })
  const isStopping = (): boolean => interruptedBy !== undefined
  // Of its own, since a case may restart RabbitMQ; without AMQP_URL and REDIS_URL nothing is lent.
  const env = { KNELL_NO_INSTALL: process.env['KNELL_NO_INSTALL'] }
  const engines = await openEngines({ env, log: say })
  let missed = 0
  try {
    const machine = describeMachine(await readMachine(engines))
    say(machine)
    for (const each of loadCases.filter(({ name }) => options.cases.includes(name))) {
      if (isStopping()) break
      scope = new Scope()
      const result = await runCase(each, engines, scope, options.quick)
      // What it was doing broke off, which says nothing.
      if (isStopping()) break
      missed += result.missed.length
      print(each, result, options)
    }
  } finally {
    await scope.release().catch(() => {})
    await engines.stop()
  }
  if (interruptedBy !== undefined) return exitCodeOf(interruptedBy)
  return missed === 0 ? 0 : 1
}

async function runCase(
  { run, title }: LoadCase,
  engines: Engines,
  scope: Scope,
  quick: boolean,
): Promise<LoadResult> {
  say(title)
  try {
    // Sizes are each load's own; those of the bench are for what it shares with us.
    return await run({ engines, scope, say, sizes: quickSizes }, quick)
  } catch (error) {
    return { figures: {}, missed: [error instanceof Error ? (error.stack ?? '') : String(error)] }
  } finally {
    await scope.release().catch((error: unknown) => console.error(error))
    const { amqpUrl, redisUrl, namespace } = engines
    // The next one must not find what this one has stored.
    await cleanGiven({ amqpUrl, redisUrl, namespace, services: [] })
  }
}

function print(
  { name, title }: LoadCase,
  { figures, missed }: LoadResult,
  { quick, json }: LoadOptions,
): void {
  if (json) {
    console.log(JSON.stringify({ case: name, quick, figures, missed }))
    return
  }
  console.log(`\n${title}${quick ? ' (--quick: the figures mean nothing)' : ''}`)
  for (const [what, value] of Object.entries(figures)) {
    console.log(`  ${what.padEnd(48)} ${show(value)}`)
  }
  for (const sentence of missed) console.log(`  ✗ ${sentence}`)
}
