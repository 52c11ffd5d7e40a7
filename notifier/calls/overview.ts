import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'

const ms = z.number().min(0).nullable()
const rate = z.number().min(0)
const latency = { p50Ms: ms, p99Ms: ms, count: part.count }
const left = z.object({ unsent: part.count, oldestMs: part.count })

const overview = z.object({
  at: part.timeMs,
  enforced: z.object({
    verdict: z.enum(['ok', 'degraded', 'failing']),
    reason: z.string(),
    live: part.countOrNull,
    stale: part.countOrNull,
    slowest: z
      .object({
        service: part.service,
        instance: part.instance,
        behind: part.countOrNull,
        staleMs: ms,
      })
      .nullable(),
  }),
  push: z.object({ ...latency, hour: z.array(z.object({ at: part.timeMs, ...latency })) }),
  revocationsPerSecond: rate.nullable(),
  hourRevocations: z.array(z.object({ at: part.timeMs, perSecond: rate })),
  expiriesPerSecond: rate.nullable(),
  hourExpiries: z.array(z.object({ at: part.timeMs, perSecond: rate.nullable() })),
  outbox: z.object({ revocations: left, expiries: left }).nullable(),
  tokensWaiting: part.countOrNull,
  rules: part.countOrNull,
  sweeps: z.object({ caught: part.count, lastAt: z.union([part.timeMs, z.null()]) }).nullable(),
  broker: z.object({ up: z.boolean(), blocked: z.boolean() }),
  store: z.object({ up: z.boolean() }),
})

export const overviewCalls: readonly Call[] = [
  {
    call: 'GET /v1/overview',
    id: 'overview',
    servedBy: NOTIFIER,
    summary: 'Whether everything is enforced, and how fast',
    description: 'For keys of all tenants. It answers also while the store is away.',
    scopes: ['ops:read'],
    answers: { 200: json('What this notifier knows.', overview) },
  },
]
