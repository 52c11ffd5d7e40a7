import { z } from 'zod'
import { BOTH, json, type Call } from './call.ts'
import * as part from './parts.ts'

const verdict = z.enum(['ok', 'degraded', 'failing'])
const partVerdict = z.enum(['ok', 'unknown', 'degraded', 'failing'])
const offer = z.object({ state: z.enum(['offered', 'not_offered', 'failed']), reason: z.string() })

export const queueCalls: readonly Call[] = [
  {
    call: 'GET /v1/queues',
    id: 'listQueues',
    servedBy: BOTH,
    summary: 'How full all queues are, with a verdict in words',
    description: 'For keys of all tenants. docs/runbooks.md says what to do.',
    scopes: ['ops:read'],
    answers: {
      200: json(
        'What could be read; what could not be is said.',
        z.object({
          at: part.timeMs,
          verdict,
          reason: z.string(),
          parts: z.array(
            z.object({
              part: z.enum(['store', 'rabbitmq', 'queues', 'bullmq', 'relay', 'sweep']),
              verdict: partVerdict,
              reason: z.string(),
              reasons: z.array(z.string()),
            }),
          ),
          services: z.array(part.service),
          queues: z.array(
            z.object({
              name: z.string(),
              service: part.service,
              kind: z.enum(['service', 'retry', 'dead']),
              messages: part.count,
              ready: part.count.optional(),
              unacked: part.count.optional(),
              consumers: part.count,
              source: z.enum(['management', 'prometheus', 'amqp']),
            }),
          ),
          bullmq: z.array(
            z.object({
              queue: z.string(),
              counts: z.record(z.string(), part.count),
              lastFailedAt: part.timeMs.optional(),
              lastFailure: z.string().optional(),
            }),
          ),
          feed: z.array(
            z.object({
              log: part.log,
              tail: part.count,
              unsent: part.count,
              mostUnsent: part.count,
              oldestUnsentMs: part.countOrNull,
            }),
          ),
          sweep: z
            .object({ agoMs: z.number().min(0), everyMs: z.number().min(0).optional() })
            .optional(),
          rabbitmq: z.object({
            readAt: part.timeMs,
            alarms: z.array(z.string()).optional(),
            leftOut: part.count,
            more: z.boolean(),
            up: z.boolean(),
            blocked: z.boolean(),
            missing: z.array(z.string()),
            unknown: z.array(z.string()),
          }),
          offered: z.object({ management: offer, prometheus: offer, alarms: offer }),
        }),
      ),
    },
  },
]
