import { loadTls } from '../../config/tls-settings.ts'
import { createTlsClient, type TlsClient } from '../../tls/tls-client.ts'

/** How to speak to RabbitMQ where its URL is `amqps://`: as the processes do, with `AMQP_CA`, `AMQP_CERT` and `AMQP_KEY`. @throws KnellError `config_invalid` */
export function amqpTlsOf(
  env: Readonly<Record<string, string | undefined>>,
  url: string,
): TlsClient | undefined {
  return /^amqps:/i.test(url) ? createTlsClient(loadTls(env).amqp) : undefined
}
