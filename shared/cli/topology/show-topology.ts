import {
  serviceTopologyOf,
  type BindingSpec,
  type QueueSpec,
} from '../../broker/service-topology.ts'
import { exchangesOf } from '../../broker/topology.ts'
import type { Names } from '../../domain/names.ts'
import type { ServiceOption } from './options.ts'
import { policiesOf, type Policy } from './policies.ts'

/** Everything that lasts in RabbitMQ, as it should be. */
export interface Topology {
  readonly exchanges: readonly { readonly name: string; readonly type: 'topic' }[]
  readonly queues: readonly QueueSpec[]
  readonly bindings: readonly BindingSpec[]
  readonly policies: readonly Policy[]
}

export function topologyOf(names: Names, services: readonly ServiceOption[]): Topology {
  const own = services
    .filter(({ kinds }) => kinds.length > 0)
    .map(({ service, ...follows }) => serviceTopologyOf(names, service, follows))
  return {
    exchanges: exchangesOf(names).map((name) => ({ name, type: 'topic' })),
    queues: own.flatMap(({ queues }) => queues),
    bindings: own.flatMap(({ bindings }) => bindings),
    policies: policiesOf(names),
  }
}

/** One line each. */
export function showTopology({ exchanges, queues, bindings, policies }: Topology): string {
  return [
    ...exchanges.map(({ name, type }) => `exchange ${name} (${type}, durable)`),
    ...queues.map(({ name, arguments: args }) => `queue ${name} ${JSON.stringify(args)}`),
    ...bindings.map(
      ({ queue, exchange, routingKey }) => `binding ${exchange} -> ${queue} (${routingKey})`,
    ),
    ...policies.map(
      ({ name, pattern, definition }) => `policy ${name} ${pattern} ${JSON.stringify(definition)}`,
    ),
  ].join('\n')
}
