import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
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
    command.action(async ({ dev }: { dev?: boolean }) => {
      process.exitCode = await runProcess(kind, dev === true ? ['--dev'] : [])
    })
  }
}

/** Runs the process as a child that has our streams and gets our signals. Returns its exit code. */
async function runProcess(kind: KnellKind, args: readonly string[]): Promise<number> {
  const main = join(compiled, kind, 'main.js')
  const child = spawn(process.execPath, ['--enable-source-maps', main, ...args], {
    stdio: 'inherit',
  })
  // A terminal has sent its signal to both; a second one of the same does the child no harm.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal))
  }
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
}
