import { Option, type Command } from 'commander'
import process from 'node:process'
import { isService } from '../../domain/tenant.ts'
import { collect } from '../arguments/match-options.ts'
import { parseCount } from '../arguments/count.ts'
import { namesOfOptions, withBroker, type BrokerOptions } from '../client/broker-options.ts'
import { ApiClient } from '../client/api-client.ts'
import { clientOf, parseUrl, withConnection } from '../client/connection-options.ts'
import { CHECK_MS, type Level, type NamedFinding } from '../doctor/finding.ts'
import { withExamples } from '../examples.ts'
import { exitWith } from '../exit.ts'
import { paint } from '../terminal/colours.ts'
import { answer, harmless } from '../terminal/print.ts'
import { UsageError } from '../usage-error.ts'
import { knellVersion } from '../version.ts'

interface DoctorFlags extends BrokerOptions {
  readonly poller?: string
  readonly service?: readonly string[]
  readonly strict?: boolean
  readonly json?: boolean
}

/** `knell doctor`: is everything as it should be, and what to do where it is not. */
export function addDoctorCommand(program: Command): void {
  const command = withConnection(
    program
      .command('doctor')
      .description(
        'look at Redis, RabbitMQ and the API, and say what to mend: exit 1 where something fails',
      ),
  )
    .addOption(new Option('--poller <url>', 'look at a poller too').env('KNELL_POLLER_URL'))
    .addOption(
      new Option('--service <name>', 'whose queues should be there; repeatable').argParser(collect),
    )
    .option('--strict', 'exit 1 for warnings as well')
  withBroker(command)
  withExamples(command, [
    ['knell doctor', 'with REDIS_URL and AMQP_URL as the processes have them'],
    ['knell doctor --json --strict', 'for a pipeline'],
  ])
  command.action(async (flags: DoctorFlags) => {
    const { connection } = clientOf(command)
    const timeoutMs = CHECK_MS - 500
    const stranger = flags.service?.find((name) => !isService(name))
    if (stranger !== undefined) {
      throw new UsageError(`"${String(stranger)}" is no name of a service.`)
    }
    const { runDoctor } = await import('../doctor/run-doctor.ts')
    const findings = await runDoctor({
      env: process.env,
      names: namesOfOptions(flags),
      shards: parseCount('SHARDS', process.env.SHARDS?.trim() || '4', 64),
      notifier: new ApiClient({ ...connection, timeoutMs }),
      poller:
        flags.poller === undefined
          ? undefined
          : new ApiClient({
              ...connection,
              timeoutMs,
              url: parseUrl(flags.poller),
              found: { kind: 'poller', by: '--poller or KNELL_POLLER_URL' },
            }),
      services: flags.service ?? [],
      version: knellVersion,
    })
    const count = (level: Level): number => findings.filter((one) => one.level === level).length
    const summary = { failures: count('failure'), warnings: count('warning') }
    answer(flags.json, { ...summary, findings }, () => show(findings))
    if (summary.failures > 0 || (flags.strict === true && summary.warnings > 0)) exitWith('failed')
  })
}

const marks: Readonly<Record<Level, string>> = {
  ok: paint('green', 'ok     '),
  warning: paint('yellow', 'warning'),
  failure: paint('red', 'failure'),
}

function show(findings: readonly NamedFinding[]): string {
  return findings
    .map(({ level, part, check, found, fix }) => {
      const line = `${marks[level]}  ${`${part} ${check}`.padEnd(25)}  ${harmless(found)}`
      return fix === undefined ? line : `${line}\n         ${paint('dim', '→')} ${harmless(fix)}`
    })
    .join('\n')
}
