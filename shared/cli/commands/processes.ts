import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { Option, type Command } from 'commander'
import { compiled } from '../checkout.ts'
import { withExamples } from '../examples.ts'
import type { KnellKind } from '../processes.ts'

/** `knell up`: everything that there is to try Knell. */
export function addUpCommand(program: Command): void {
  const command = program
    .command('up')
    .description('try it: RabbitMQ, Redis, a notifier and a poller, until Ctrl-C (npm start)')
  withExamples(command, [
    ['knell up', 'prints the addresses and a key'],
    ['BEAT=500ms knell up', 'any setting reaches both processes'],
  ])
  command.action(async () => {
    const { runUp } = await import('../start/run-up.ts')
    process.exit(await runUp())
  })
}

/** `knell notifier` and `knell poller`: one process, with the settings of the environment. */
export function addProcessCommands(program: Command): void {
  const whats: Readonly<Record<KnellKind, string>> = {
    notifier: 'run a notifier with the settings of the environment',
    poller: 'run a poller with the settings of the environment',
  }
  for (const kind of ['notifier', 'poller'] as const) {
    const command = program
      .command(kind)
      .description(whats[kind])
      .addOption(new Option('--dev', 'without API keys, on a loopback address only'))
    withExamples(command, [
      [`knell ${kind}`, 'AMQP_URL, REDIS_URL and API_KEYS say the rest'],
      [`PORT=0 knell ${kind} --dev`, 'to try it out, on any free port'],
    ])
    // The process itself reads --dev from the command line.
    command.action(() => runProcess(kind))
  }
}

/** Runs it in this very process, so that whatever ends the one ends the other. It ends by a signal, and sets the exit code. */
async function runProcess(kind: KnellKind): Promise<void> {
  process.setSourceMapsEnabled(true)
  await import(pathToFileURL(join(compiled, kind, 'main.js')).href)
}
