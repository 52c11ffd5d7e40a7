import { versionsOf, type EngineVersions } from '../engines/versions.ts'
import { onInterrupt } from '../interrupt.ts'
import { toTable } from '../terminal/table.ts'
import { runMocha, type MochaRun, type TestEngines } from './run-mocha.ts'

/** Tests that are run on engines of one kind. */
export interface Suite {
  readonly name: string
  /** What mocha is told: its options, files or folders. */
  readonly args: readonly string[]
  /** Opens the engines, which are stopped at the end. */
  open(): Promise<TestEngines & { stop(): Promise<void> }>
  /** Throws where the engines are not those that were meant. */
  check?(versions: EngineVersions): void
}

interface Result {
  readonly suite: Suite
  readonly versions?: EngineVersions
  readonly run?: MochaRun
  /** Why it could not be run. */
  readonly problem?: string
}

/** Runs one suite after the other, prints a table of all and returns the exit code. */
export async function runSuites(suites: readonly Suite[]): Promise<number> {
  let isInterrupted = false
  onInterrupt(() => {
    isInterrupted = true
  })
  const results: Result[] = []
  for (const suite of suites) {
    if (isInterrupted) break
    console.error(`\n== ${suite.name}`)
    results.push(await runSuite(suite))
  }
  const failed = results.filter(({ run }) => run?.code !== 0)
  for (const { suite, run, problem } of failed) {
    const reasons = run?.counts?.failed ?? [problem ?? 'mocha ended before it could report']
    console.log(`\n${suite.name} failed:\n${reasons.map((title) => `  ${title}`).join('\n')}`)
  }
  console.log(`\n${table(results)}`)
  return failed.length === 0 && !isInterrupted ? 0 : 1
}

async function runSuite(suite: Suite): Promise<Result> {
  try {
    const engines = await suite.open()
    try {
      const versions = await versionsOf(engines)
      console.error(`RabbitMQ ${versions.rabbitmq}, Redis ${versions.redis}`)
      suite.check?.(versions)
      return { suite, versions, run: await runMocha(engines, suite.args) }
    } finally {
      await engines.stop()
    }
  } catch (error) {
    return { suite, problem: error instanceof Error ? error.message : String(error) }
  }
}

function table(results: readonly Result[]): string {
  return toTable(
    ['engines', 'RabbitMQ', 'Redis', 'passed', 'failed', 'skipped', 'minutes'],
    results.map(({ suite, versions, run }) => [
      suite.name,
      versions?.rabbitmq,
      versions?.redis,
      run?.counts?.passes,
      run?.counts?.failures ?? 'all',
      run?.counts?.pending,
      run?.counts && (run.counts.durationMs / 60_000).toFixed(1),
    ]),
  )
}
