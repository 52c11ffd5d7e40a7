import { connect } from '../../../subscriber/index.ts'
import type { OpenGate } from './gate.ts'

/** Nobody listens there, so whoever connects is cut off from RabbitMQ. */
const NOWHERE = 'amqp://127.0.0.1:1'

/** Knell's view. RabbitMQ keeps it up to date; with RabbitMQ away it pulls over HTTP. */
export const openViewGate: OpenGate = async (options) => {
  const { url, apiKey, namespace, keys, issuer, audience } = options
  const knell = await connect({
    service: 'bench',
    amqp: options.amqpUrl,
    pull: [url],
    apiKey,
    namespace,
    verify: { keys: [...keys], issuer, audience },
  })
  return {
    ask: ({ claims, header }) => knell.check(claims, header).active,
    admit: async (token) => (await knell.verify(token)).active,
    calls: () => 0,
    close: () => knell.close(),
  }
}

/** The same, where RabbitMQ never answers. */
export const openPullGate: OpenGate = (options) => openViewGate({ ...options, amqpUrl: NOWHERE })
