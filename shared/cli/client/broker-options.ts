import { Option, type Command } from 'commander'
import { NAMESPACE } from '../../config/settings.ts'
import { namesOf, type Names } from '../../domain/names.ts'
import type { TlsClient } from '../../tls/tls-client.ts'
import { UsageError } from '../usage-error.ts'
import { amqpTlsOf } from './amqp-tls.ts'
import { CONNECTION } from './connection-options.ts'

export interface BrokerOptions {
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
export function brokerSettingsOf(options: BrokerOptions): {
  url: string
  tls: TlsClient | undefined
  names: Names
} {
  const url = process.env.AMQP_URL?.trim() ?? ''
  if (!/^amqps?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new UsageError(
      'AMQP_URL is not set: amqp:// or amqps:// of a user that may read the events.',
    )
  }
  return { url, tls: amqpTlsOf(process.env, url), names: namesOfOptions(options) }
}

/** @throws UsageError */
export function namesOfOptions({ namespace }: BrokerOptions): Names {
  if (namespace && !NAMESPACE.test(namespace)) {
    throw new UsageError('The namespace must be 1 to 20 of a-z, 0-9 and -, a letter first.')
  }
  return namesOf(namespace || undefined)
}
