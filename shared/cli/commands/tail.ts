import { Option, type Command } from 'commander'
import { kindsOfLog, type Kind } from '../../domain/entry.ts'
import { isTenant } from '../../domain/tenant.ts'
import { brokerSettingsOf, withBroker, type BrokerOptions } from '../client/broker-options.ts'
import { collect, matchOf, withMatch, type MatchOptions } from '../arguments/match-options.ts'
import { parseCount } from '../arguments/count.ts'
import { durationOf } from '../arguments/moment.ts'
import { CommandError, exitCodes } from '../exit.ts'
import { withExamples } from '../examples.ts'
import { onInterrupt } from '../interrupt.ts'
import { follow } from '../tail/follow.ts'
import { isWanted } from '../tail/live-event.ts'
import { showEvent } from '../tail/show-event.ts'
import { harmless, harmlessLines, note, say } from '../terminal/print.ts'
import { UsageError } from '../usage-error.ts'

interface TailOptions extends MatchOptions, BrokerOptions {
  readonly kind?: readonly Kind[]
  readonly tenant?: readonly string[]
  readonly reason?: string
  readonly limit?: string
  readonly for?: string
  readonly json?: boolean
}

const kinds = Object.values(kindsOfLog).flat()

/** `knell tail`: the events as services hear them. */
export function addTailCommand(program: Command): void {
  const command = withMatch(
    program
      .command('tail')
      .description('the events as services hear them, live; signatures are not checked'),
  )
    .addOption(
      new Option('--kind <kind...>', 'these kinds only').choices(kinds).default(kinds, 'all'),
    )
    .addOption(
      new Option('--tenant <name>', 'this tenant only; repeatable (default: all)').argParser(
        collect,
      ),
    )
    .option('--reason <why>', 'this reason only')
    .option('--limit <count>', 'end after so many events')
    .option('--for <duration>', 'end after so long')
  withBroker(command).option('--json', 'one JSON document per event')
  withExamples(command, [
    ['knell tail', 'everything, until Ctrl-C'],
    ['knell tail --kind revoked held --sub alice', 'what becomes of one user'],
    ['knell tail --json --limit 10 --for 2s', 'for a machine'],
  ])
  command.action(async (options: TailOptions) => {
    const { tenant: tenants = ['*'], reason } = options
    if (!tenants.every((name) => name === '*' || isTenant(name))) {
      throw new UsageError(`"${tenants.join(', ')}" holds what is no name of a tenant.`)
    }
    const match = matchOf(options)
    const limit = options.limit === undefined ? Infinity : parseCount('--limit', options.limit)
    const stopped = new AbortController()
    onInterrupt(() => {
      process.exitCode = exitCodes.interrupted
      stopped.abort()
    })
    if (options.for !== undefined) {
      setTimeout(() => stopped.abort(), durationOf(options.for)).unref()
    }
    let shown = 0
    const failure = await follow({
      ...brokerSettingsOf(options),
      tenants,
      kinds: options.kind ?? kinds,
      signal: stopped.signal,
      onNotice: (text) => note(harmless(text)),
      onEvent(event) {
        if (shown >= limit || !isWanted(event, { match, reason })) return
        shown += 1
        say(options.json === true ? harmlessLines(JSON.stringify(event)) : showEvent(event))
        if (shown >= limit) stopped.abort()
      },
    })
    if (failure !== undefined) throw new CommandError('unreachable', failure)
  })
}
