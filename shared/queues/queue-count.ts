import type { Names } from '../domain/names.ts'
import { queueOf, type NamedQueue } from './queue-names.ts'

/** Who told of a queue: RabbitMQ's management API, its Prometheus plugin, or a passive declaration. */
export type Source = 'management' | 'prometheus' | 'amqp'

/** How full a queue is. */
export interface QueueCount extends NamedQueue {
  /** All messages; of the source `amqp` those that wait, since it does not tell of those that consumers hold. */
  readonly messages: number
  readonly ready?: number
  readonly unacked?: number
  readonly consumers: number
  readonly source: Source
}

/** What a source says of one queue. */
interface Figures {
  readonly messages?: number | undefined
  readonly ready?: number | undefined
  readonly unacked?: number | undefined
  readonly consumers?: number | undefined
}

/** The count of a queue of Knell's; none for one of others, or of which the source does not tell enough. */
export function countsOf(
  names: Names,
  name: string,
  { messages, ready, unacked, consumers }: Figures,
  source: Source,
): QueueCount[] {
  const named = queueOf(names, name)
  if (named === undefined || messages === undefined || consumers === undefined) return []
  return [
    {
      ...named,
      messages,
      ...(ready === undefined ? {} : { ready }),
      ...(unacked === undefined ? {} : { unacked }),
      consumers,
      source,
    },
  ]
}

/** Whether a feature of RabbitMQ's is there. `not_offered` is no fault. */
export interface Offer {
  readonly state: 'offered' | 'not_offered' | 'failed'
  /** Empty where it is offered. */
  readonly reason: string
}

export const OFFERED: Offer = { state: 'offered', reason: '' }

export function notOffered(reason: string): Offer {
  return { state: 'not_offered', reason }
}

export function failedOffer(reason: string): Offer {
  return { state: 'failed', reason }
}

/** What one source tells. */
export interface SourceReading {
  readonly offer: Offer
  readonly counts: readonly QueueCount[]
  /** Whether there are more queues than were read. */
  readonly more: boolean
  /** Alarms in force, in words; undefined where the source does not tell of alarms. */
  readonly alarms: readonly string[] | undefined
  /** Why alarms are not told, where they are not. */
  readonly alarmOffer: Offer
}

/** So many queues are told of at most, whatever there are. */
export const MAX_QUEUES = 500
