import { z } from 'zod'
import { BOTH, json, type Call } from './call.ts'

const health = z.object({
  status: z.enum(['ok', 'degraded', 'failing']),
  store: z.object({ ok: z.boolean(), problem: z.string().optional() }),
  broker: z.object({ ok: z.boolean(), blocked: z.boolean(), problem: z.string().optional() }),
})

export const opsCalls: readonly Call[] = [
  {
    call: 'GET /livez',
    id: 'livez',
    servedBy: BOTH,
    summary: 'Whether the process runs',
    scopes: [],
    answers: { 200: json('It does.', z.object({ status: z.literal('ok') })) },
  },
  {
    call: 'GET /readyz',
    id: 'readyz',
    servedBy: BOTH,
    summary: 'Whether the process can serve its callers',
    scopes: [],
    answers: {
      200: json('ok, or degraded: only RabbitMQ is away.', health),
      503: json('failing: the store is away, or the process is stopping.', health),
    },
  },
]
