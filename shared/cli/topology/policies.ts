import { MAX_BYTES, MAX_DEAD_BYTES } from '../../broker/service-topology.ts'
import type { Names } from '../../domain/names.ts'

/** A policy of RabbitMQ: what may change while queues live. Where an argument bounds as well, the smaller bound holds. */
export interface Policy {
  readonly name: string
  readonly pattern: string
  readonly definition: Readonly<Record<string, string | number>>
}

/** An instance's queue drops its oldest messages past this many bytes; the gap is pulled. */
const MAX_OWN_BYTES = 67_108_864
/** A server-named queue that nobody consumes for so long is deleted: Knell's end with their connections. */
const UNUSED_MS = 300_000

/**
 * Bounds that an operator may change while the queues live. What is a matter of safety (type, dead-letter
 * exchange, times to live, and an upper limit for each bound) is an argument of the queue itself.
 */
export function policiesOf({ namespace }: Names): readonly Policy[] {
  const queue = `^${namespace}\\.service\\.[a-z0-9-]+`
  return [
    {
      name: `${namespace}-instances`,
      pattern: '^amq\\.gen-',
      definition: { expires: UNUSED_MS, 'max-length-bytes': MAX_OWN_BYTES, overflow: 'drop-head' },
    },
    {
      name: `${namespace}-services`,
      pattern: `${queue}(\\.retry\\.[0-9])?$`,
      definition: { 'max-length-bytes': MAX_BYTES },
    },
    {
      name: `${namespace}-dead`,
      pattern: `${queue}\\.dead$`,
      definition: { 'max-length-bytes': MAX_DEAD_BYTES },
    },
  ]
}
