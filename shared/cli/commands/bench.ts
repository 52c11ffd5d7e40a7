import type { Command } from 'commander'
import process from 'node:process'
import { withExamples } from '../examples.ts'

/** `knell bench`: measures Knell on this machine. */
export function addBenchCommand(program: Command): void {
  const command = program
    .command('bench')
    .description('measure Knell beside its floors and its peers (npm run bench)')
    .argument('[case...]', 'without one, all of them: minutes')
    .option('--quick', 'seconds; says that it works, and nothing else')
    .option('--json', 'one line per case')
  withExamples(command, [
    ['knell bench bytes --quick', 'does it work here?'],
    ['knell bench push --json --quick', 'one case, for a machine'],
  ])
  command.action(
    async (cases: readonly string[], { quick, json }: { quick?: boolean; json?: boolean }) => {
      const { runBench } = await import('../bench/run-bench.ts')
      const flags = [...(quick === true ? ['--quick'] : []), ...(json === true ? ['--json'] : [])]
      process.exit(await runBench([...cases, ...flags]))
    },
  )
}
