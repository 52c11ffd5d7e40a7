import { Option, type Command } from 'commander'
import { NAMESPACE } from '../../config/settings.ts'
import { namesOf, type Names } from '../../domain/names.ts'
import { UsageError } from '../usage-error.ts'
import { CONNECTION } from './connection-options.ts'

export interface BrokerOptions {
  readonly amqp?: string
  readonly namespace?: string
}

/** Adds where RabbitMQ is. The URL holds a password, so it comes from the environment alone. */
export function withBroker(command: Command): Command {
  return command.addOption(
    new Option('--namespace <name>', 'where it is not "knell"')
      .env('NAMESPACE')
      .helpGroup(CONNECTION),
  )
}

/** @throws UsageError */
export function brokerSettingsOf({ namespace }: BrokerOptions): { url: string; names: Names } {
  const url = process.env.AMQP_URL?.trim() ?? ''
  if (!/^amqps?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new UsageError(
      'AMQP_URL is not set: amqp:// or amqps:// of a user that may read the events.',
    )
  }
  if (namespace && !NAMESPACE.test(namespace)) {
    throw new UsageError('The namespace must be 1 to 20 of a-z, 0-9 and -, a letter first.')
  }
  return { url, names: namesOf(namespace || undefined) }
}
