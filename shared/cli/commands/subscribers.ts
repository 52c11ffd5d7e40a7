import type { Command } from 'commander'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { exitWith } from '../exit.ts'
import { subscriberTable } from '../status/show-status.ts'
import type { Subscribers } from '../status/read-status.ts'
import { confirm } from '../terminal/confirm.ts'
import { answer, harmless, note } from '../terminal/print.ts'

/** `knell subscribers`: who listens, and how far. */
export function addSubscribersCommand(program: Command): void {
  const subscribers = program
    .command('subscribers')
    .description('who listens and how far; remove who is gone')
  const list = withConnection(
    subscribers.command('ls', { isDefault: true }).description('every instance and its state'),
  ).option('--service <name>', 'of this service only')
  withExamples(list, [
    ['knell subscribers', 'who listens?'],
    ['knell subscribers ls --service orders --json', 'one service, for a machine'],
  ])
  list.action(async ({ json, service }: { json?: boolean; service?: string }) => {
    const client = clientOf(list)
    const { tenant } = client.connection
    const found = await client.call<Subscribers>('/v1/subscribers', { query: { tenant, service } })
    answer(json, found, show)
  })
  addRemove(subscribers)
}

function show({ subscribers, handlers }: Subscribers): string {
  const parts = [subscribers.length === 0 ? 'Nobody listens.' : subscriberTable(subscribers)]
  if (handlers.length > 0) {
    parts.push(`with handlers: ${handlers.map(({ service }) => service).join(', ')}`)
  }
  return parts.join('\n\n')
}

function addRemove(subscribers: Command): void {
  const remove = withConnection(
    subscribers
      .command('rm')
      .description('forget an instance that is gone, or a whole service and what its handlers owe')
      .argument('<service>')
      .argument('[instance]', 'without it, the service itself'),
  ).option('-y, --yes', 'do not ask before a whole service is removed')
  withExamples(remove, [
    ['knell subscribers rm orders "$INSTANCE"', 'one instance that has crashed'],
    ['knell subscribers rm orders --yes', 'the service is no more'],
  ])
  remove.action(
    async (
      service: string,
      instance: string | undefined,
      { json, yes }: { json?: boolean; yes?: boolean },
    ) => {
      const client = clientOf(remove)
      if (instance === undefined) {
        await confirm(
          `The service "${service}" is removed: nothing is owed to its handlers any more. Go on?`,
          yes,
        )
      }
      const { tenant } = client.connection
      const query = { tenant, service, instance }
      const done = await client.call<{ removed: number; handlersEnded?: boolean }>(
        '/v1/subscribers',
        { method: 'DELETE', query },
      )
      if (done.removed === 0 && done.handlersEnded !== true) {
        exitWith('failed')
        const what = instance === undefined ? 'service' : `instance "${instance}" of the service`
        note(harmless(`There is no ${what} "${service}".`))
      }
      answer(json, done, () => {
        const ended = done.handlersEnded === true ? '; its handlers are owed nothing more' : ''
        return `removed ${done.removed}${ended}`
      })
    },
  )
}
