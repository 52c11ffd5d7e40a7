import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'
import { scheduleTakes } from '../routes/schedules.ts'

const schedule = z.object({
  id: z.string(),
  at: part.date,
  match: part.match,
  reason: part.reason.optional(),
  issuedBefore: part.dateOrNull.optional(),
  except: part.match.optional(),
  hold: z.object({ reviewBy: part.date, outcome: part.outcome }).optional(),
  problem: z.string().optional(),
})

export const scheduleCalls: readonly Call[] = [
  {
    call: 'GET /v1/schedules',
    id: 'listSchedules',
    servedBy: NOTIFIER,
    summary: 'What waits for its time, soonest first',
    scopes: ['revocations:undo'],
    ...scheduleTakes['GET /v1/schedules'],
    answers: {
      200: json(
        'A page; next is the cursor of the next one.',
        z.object({ schedules: z.array(schedule), next: z.string().optional() }),
      ),
    },
  },
  {
    call: 'DELETE /v1/schedules',
    id: 'cancelSchedule',
    servedBy: NOTIFIER,
    summary: 'Cancels a schedule',
    scopes: ['revocations:undo'],
    headers: ['knell-via'],
    ...scheduleTakes['DELETE /v1/schedules'],
    answers: { 200: json('What was cancelled.', z.object({ cancelled: schedule })) },
    codes: ['unknown_schedule'],
  },
]
