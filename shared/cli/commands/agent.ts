import { Option, type Command } from 'commander'
import process from 'node:process'
import { agentSettingsTable } from '../../agent/settings-table.ts'
import { withExamples } from '../examples.ts'

/** How long a stop may take before the process ends all the same. */
const STOP_MS = 10_000

/** `knell agent`: the subscriber of a service that is not Node's, as a process beside it. */
export function addAgentCommand(program: Command): void {
  const command = program
    .command('agent')
    .description(
      'decide for a service that is not Node: for nginx, Traefik, Envoy, or by POST /check',
    )
  for (const { flag, expects, default: fallback } of agentSettingsTable) {
    if (flag === undefined) continue
    const isSwitch = expects.startsWith('0 or 1')
    const about = fallback === undefined || isSwitch ? expects : `${expects} (default: ${fallback})`
    command.addOption(new Option(isSwitch ? flag : `${flag} <value>`, about))
  }
  withExamples(command, [
    ['knell agent --service billing', 'AMQP_URL, KNELL_URL, ISSUER and JWT_KEYS say the rest'],
    ['knell agent --service billing --listen "unix:$PWD/knell.sock"', 'for this machine only'],
  ])
  command.action(async (options: Readonly<Record<string, string | true>>) => {
    await run(environmentOf(options))
  })
}

/** The environment, with what the command line says in its place. */
function environmentOf(
  options: Readonly<Record<string, string | true>>,
): Record<string, string | undefined> {
  // oxlint-disable-next-line node/no-process-env
  const env: Record<string, string | undefined> = { ...process.env }
  for (const { name, flag } of agentSettingsTable) {
    const given = flag === undefined ? undefined : options[new Option(flag).attributeName()]
    if (given !== undefined) env[name] = given === true ? '1' : given
  }
  return env
}

async function run(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  // Read only by whoever runs this command: the others start faster without.
  const [{ loadAgentSettings }, { startAgent }, { pino }] = await Promise.all([
    import('../../agent/agent-settings.ts'),
    import('../../agent/agent.ts'),
    import('pino'),
  ])
  const settings = loadAgentSettings(env)
  const log = pino({ level: settings.logLevel, base: { name: 'knell agent' } })
  const starting = startAgent(settings, log)
  // It listens before it is known here, and may be told to stop at that very moment.
  const stop = (): void => {
    void starting.then(
      (agent) => agent.stop(),
      () => {},
    )
    setTimeout(() => {
      log.error('The stop took too long; ending now.')
      process.exit(1)
    }, STOP_MS).unref()
  }
  // Before it listens: whoever sees that it does may stop it at once.
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  await starting
}
