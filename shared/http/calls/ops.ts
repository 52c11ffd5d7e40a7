import { z } from 'zod'
import { dueTakes } from '../routes/due.ts'
import { opsTakes } from '../routes/ops.ts'
import { sweepTakes } from '../routes/sweeps.ts'
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
  run: part.count,
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
  trimmedRecords: part.count,
  cutRecords: part.count,
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
  {
    call: 'POST /v1/sweeps',
    id: 'sweepNow',
    servedBy: BOTH,
    summary: 'Sweeps now; with wait, until a sweep that began after the call has ended',
    description: 'For keys of all tenants. Whichever poller is free takes the job.',
    scopes: ['ops:write'],
    headers: ['knell-via'],
    ...sweepTakes['POST /v1/sweeps'],
    answers: {
      200: json('It has ended.', z.object({ job: z.string(), report: sweep })),
      202: json(
        'It was asked for; lastAt is when the last one began.',
        z.object({
          job: z.string(),
          state: z.string(),
          lastAt: z.union([part.timeMs, z.null()]),
        }),
      ),
    },
  },
  {
    call: 'GET /v1/due',
    id: 'countDue',
    servedBy: BOTH,
    summary: 'How many tokens are due in each of the next 60 minutes',
    scopes: ['ops:read'],
    ...dueTakes['GET /v1/due'],
    answers: {
      200: json(
        'Counts, up to 5 s old.',
        z.object({
          tenant: part.tenant,
          at: part.timeMs,
          minutes: z.array(part.count).length(60),
          overdue: part.count,
          complete: z.boolean(),
        }),
      ),
    },
  },
]
