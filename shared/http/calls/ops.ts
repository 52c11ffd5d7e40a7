import { z } from 'zod'
import { opsTakes } from '../routes/ops.ts'
import { BOTH, json, type Call } from './call.ts'
import * as part from './parts.ts'

const health = z.object({
  status: z.enum(['ok', 'degraded', 'failing']),
  store: z.object({ ok: z.boolean(), problem: z.string().optional() }),
  broker: z.object({ ok: z.boolean(), blocked: z.boolean(), problem: z.string().optional() }),
})

const sweep = z.object({
  at: part.timeMs,
  trigger: z.string(),
  durationMs: z.number().min(0),
  overdueTokens: part.count,
  overdueExpiring: part.count,
  overdueHolds: part.count,
  overdueSchedules: part.count,
  unsentEntries: part.count,
  sentEntries: part.count,
  waitingEntries: part.count,
  prunedRules: part.count,
  trimmedEntries: part.count,
  silentInstances: part.count,
  resentEntries: part.count,
  unroutableEntries: part.count,
  closedEntries: part.count,
  lostEntries: part.count,
  openEntries: part.count,
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
  {
    call: 'GET /v1/sweeps',
    id: 'listSweeps',
    servedBy: BOTH,
    summary: 'What the sweeps of the last day caught',
    description: 'For keys of all tenants.',
    scopes: ['ops:read'],
    ...opsTakes['GET /v1/sweeps'],
    answers: { 200: json('Newest first.', z.object({ sweeps: z.array(sweep) })) },
  },
]
