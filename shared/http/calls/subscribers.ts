import { z } from 'zod'
import { subscriberTakes } from '../routes/subscribers.ts'
import { BOTH, json, type Call } from './call.ts'
import * as part from './parts.ts'

const subscriber = z.object({
  service: part.service,
  instance: part.instance,
  state: z.enum(['joining', 'ready', 'stale', 'leaving', 'gone']),
  joinedAt: part.timeMs,
  lastSeenMs: part.count,
  maxStalenessMs: part.countOrNull,
  asOf: part.timeMs,
  staleMs: part.countOrNull,
  behind: part.countOrNull,
  applied: z.array(part.position),
  user: z.string().optional(),
  key: z.string().optional(),
})

const handlers = z.object({
  service: part.service,
  kinds: z.array(part.kind),
  maxAttempts: z.int().min(1).max(100),
  marks: z.array(
    z.object({
      log: part.log,
      shard: part.shard,
      mark: part.position,
      judged: part.position,
      open: part.count,
    }),
  ),
})

export const subscriberCalls: readonly Call[] = [
  {
    call: 'POST /v1/acks',
    id: 'acknowledge',
    servedBy: BOTH,
    summary: 'What an instance has applied, where RabbitMQ does not take it',
    scopes: ['feed:read'],
    ...subscriberTakes['POST /v1/acks'],
    answers: {
      200: json(
        'How many acks were taken. unregistered: a service with handlers is not known any more and registers again.',
        z.object({
          taken: part.count,
          refused: part.count.optional(),
          unregistered: z.literal(true).optional(),
        }),
      ),
    },
    codes: ['message_invalid', 'foreign_instance', 'too_many_services', 'unknown_tenant'],
  },
  {
    call: 'GET /v1/subscribers',
    id: 'listSubscribers',
    servedBy: BOTH,
    summary: 'Who listens and how far, and which services have handlers',
    scopes: ['ops:read'],
    ...subscriberTakes['GET /v1/subscribers'],
    answers: {
      200: json(
        'By service and instance.',
        z.object({
          tenant: part.tenant,
          at: part.timeMs,
          tails: part.tails,
          subscribers: z.array(subscriber),
          handlers: z.array(handlers),
        }),
      ),
    },
  },
  {
    call: 'DELETE /v1/subscribers',
    id: 'removeSubscriber',
    servedBy: BOTH,
    summary: 'Forgets an instance that is gone, or a whole service with its handlers',
    scopes: ['ops:write'],
    headers: ['knell-via'],
    ...subscriberTakes['DELETE /v1/subscribers'],
    answers: {
      200: json(
        'How many instances were forgotten.',
        z.object({ removed: part.count, handlersEnded: z.literal(true).optional() }),
      ),
    },
  },
]
