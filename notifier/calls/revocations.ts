import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'
import { wire } from '../../shared/http/shown-schema.ts'
import { revocationTakes } from '../routes/revocations.ts'
import { undoTakes } from '../routes/undo.ts'
import { jwtCodes } from './jwt-codes.ts'

const place = { shard: part.shard, epoch: part.epoch, seq: part.seq }

const enforced = z.object({
  done: z.boolean(),
  live: part.count,
  applied: part.count,
  missing: z.array(
    z.object({
      service: part.service,
      instance: part.instance,
      lastSeenMs: part.count,
      behind: part.countOrNull,
    }),
  ),
  ms: part.count,
  absent: z.array(part.service).optional(),
  lost: z.literal(true).optional(),
  lifted: z.literal(true).optional(),
})

const revoked = z
  .object({
    id: z.string(),
    ...place,
    issuedBefore: part.dateOrNull,
    until: part.dateOrNull,
    enforced: enforced.optional(),
  })
  .meta({ title: 'Revoked' })

const held = z
  .object({
    id: z.string(),
    ...place,
    held: z.literal(true),
    reviewBy: part.date,
    outcome: part.outcome,
    until: part.dateOrNull,
    enforced: enforced.optional(),
  })
  .meta({ title: 'Held' })

const scheduled = z
  .object({
    id: z.string(),
    scheduled: z.literal(true),
    at: part.date,
    shard: part.shard,
    match: part.match,
  })
  .meta({ title: 'Scheduled' })

const ruleOrNull = z.union([wire('rule.json'), z.null()])

/** What a call would do. */
const dryRun = z
  .object({
    dryRun: z.literal(true),
    match: part.match,
    rule: ruleOrNull,
    current: ruleOrNull,
    lifted: z.array(z.string()).optional(),
    hits: z.union([
      z.object({
        tokens: part.count,
        complete: z.boolean(),
        atMost: z.literal(true).optional(),
      }),
      z.null(),
    ]),
  })
  .meta({ title: 'What it would do' })

/** The answers of an array, in its order. */
const many = z
  .object({ revocations: z.array(z.union([revoked, held])) })
  .meta({ title: 'Revoked or held at once' })

const lifted = z.object({ lifted: z.array(z.string()), match: part.match, ...place })

const undoCodes = ['invalid_match', 'idempotency_conflict', 'unknown_revocation'] as const

export const revocationCalls: readonly Call[] = [
  {
    call: 'POST /v1/revocations',
    id: 'revoke',
    servedBy: NOTIFIER,
    summary: 'Revokes or holds, now or at a time, or says what that would do',
    description:
      'By match or by token. revocations:write is enough where the match names jti, sid or sub, and no kid; else revocations:mass is needed. With wait the answer comes when it is enforced, or at the time-out: it is committed whatever enforced says. An array of up to 1,000 is made as if each had been sent alone, but without wait, at, dryRun and Idempotency-Key: where one is not acceptable none is made.',
    scopes: ['revocations:write', 'revocations:mass'],
    headers: ['idempotency-key', 'knell-via'],
    ...revocationTakes['POST /v1/revocations'],
    answers: {
      200: json('With dryRun: nothing was written.', dryRun),
      201: json(
        'Done, or scheduled where at was sent; of an array each in its order.',
        z.union([revoked, held, scheduled, many]),
      ),
    },
    codes: [
      'invalid_match',
      'idempotency_conflict',
      ...jwtCodes,
      'keys_unavailable',
      'issued_before_in_future',
      'too_many_cutoffs',
      'too_many_shapes',
      'rule_too_large',
      'time_out_of_range',
      'too_many_schedules',
    ],
  },
  {
    call: 'POST /v1/revocations/release',
    id: 'release',
    servedBy: NOTIFIER,
    summary: 'Lifts the hold of a match',
    scopes: ['revocations:undo'],
    headers: ['idempotency-key', 'knell-via'],
    ...undoTakes['POST /v1/revocations/release'],
    answers: { 200: json('What was lifted, or would be.', z.union([lifted, dryRun])) },
    codes: undoCodes,
  },
  {
    call: 'POST /v1/revocations/restore',
    id: 'restore',
    servedBy: NOTIFIER,
    summary: 'Undoes one revocation or hold by its id, or all revocations of a match',
    scopes: ['revocations:undo'],
    headers: ['idempotency-key', 'knell-via'],
    ...undoTakes['POST /v1/revocations/restore'],
    answers: { 200: json('What was lifted, or would be.', z.union([lifted, dryRun])) },
    codes: [...undoCodes, 'unknown_schedule'],
  },
]
