import { z } from 'zod'
import { opsTakes } from '../routes/ops.ts'
import { sweepTakes } from '../routes/sweeps.ts'
import { BOTH, json, type Call } from './call.ts'
import * as part from './parts.ts'

const report = z
  .object({
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
  .meta({ title: 'What a sweep caught' })

export const sweepCalls: readonly Call[] = [
  {
    call: 'GET /v1/sweeps',
    id: 'listSweeps',
    servedBy: BOTH,
    summary: 'What the sweeps of the last day caught',
    description: 'For keys of all tenants.',
    scopes: ['ops:read'],
    ...opsTakes['GET /v1/sweeps'],
    answers: { 200: json('Newest first.', z.object({ sweeps: z.array(report) })) },
  },
  {
    call: 'POST /v1/sweeps',
    id: 'sweepNow',
    servedBy: BOTH,
    summary: 'Sweeps now; with wait, until a sweep that began after the call has ended',
    description: 'For keys of all tenants. Whichever poller is free does it.',
    scopes: ['ops:write'],
    headers: ['knell-via'],
    ...sweepTakes['POST /v1/sweeps'],
    answers: {
      200: json('With wait: it is done.', z.object({ job: z.string(), report })),
      202: json(
        'It is asked for; lastAt is when the last sweep began.',
        z.object({
          job: z.string(),
          state: z.string(),
          lastAt: z.union([part.timeMs, z.null()]),
        }),
      ),
    },
  },
]
