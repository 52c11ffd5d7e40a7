import { settle, type ConnectOptions } from './options.ts'
import { Subscriber } from './subscriber.ts'

/**
 * Connects a service instance to Knell: binds to RabbitMQ, takes a snapshot over HTTP and follows
 * from there. Resolves when the view is ready, or at once with `waitReady: false`. Neither
 * RabbitMQ nor the pull URLs need to be up: it goes on trying, and until then every check answers
 * `not_ready`. Identity providers are waited for once, for at most 5 s: while the keys of one have
 * never come, `verify` answers `not_ready` for its tokens.
 * @throws TypeError that lists everything wrong with the options
 * @throws KnellError `config_invalid` for unusable verification keys
 */
export async function connect(options: ConnectOptions): Promise<Subscriber> {
  const subscriber = new Subscriber(settle(options))
  await subscriber.start()
  if (options.waitReady !== false) {
    await Promise.all([subscriber.ready(), subscriber.keysAsked()])
  }
  return subscriber
}
