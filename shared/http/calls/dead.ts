import { z } from 'zod'
import { deadTakes } from '../routes/dead.ts'
import { wire } from '../shown-schema.ts'
import { BOTH, json, type Call } from './call.ts'
import * as part from './parts.ts'

const error = z.object({ name: z.string(), message: z.string(), code: z.string().optional() })

const letter = z.union([
  z
    .object({
      v: wire('common.json#/$defs/version'),
      tenant: part.tenant,
      log: part.log,
      kind: part.kind,
      shard: part.shard,
      epoch: part.epoch,
      seq: part.seq,
      at: part.timeMs,
      service: part.service,
      index: part.count,
      event: z.record(z.string(), z.unknown()),
      key: z.string(),
      error,
      attempts: part.count,
      firstSeenAt: part.timeMs,
      deadAt: part.timeMs,
    })
    .meta({ title: 'An event that handlers gave up' }),
  z
    .object({
      v: wire('common.json#/$defs/version'),
      service: part.service,
      key: z.string(),
      raw: z.string(),
      bytes: part.count,
      error,
      firstSeenAt: part.timeMs,
      deadAt: part.timeMs,
    })
    .meta({ title: 'Bytes that no version of the contract explains' }),
  z
    .object({
      key: z.string(),
      tenant: part.tenant,
      service: part.service,
      events: part.count,
      error,
    })
    .meta({ title: 'A message that RabbitMQ itself put here' }),
])

export const deadCalls: readonly Call[] = [
  {
    call: 'GET /v1/dead',
    id: 'listDead',
    servedBy: BOTH,
    summary: 'What the handlers of a service gave up, oldest first',
    scopes: ['ops:write'],
    ...deadTakes['GET /v1/dead'],
    answers: {
      200: json(
        'Those of the key’s tenants; total only for keys of all tenants.',
        z.object({
          service: part.service,
          dead: z.array(letter),
          more: z.boolean(),
          total: part.count.optional(),
        }),
      ),
    },
    codes: ['unknown_service', 'broker_unavailable'],
  },
  {
    call: 'POST /v1/dead/replay',
    id: 'replayDead',
    servedBy: BOTH,
    summary: 'Puts dead letters back, each once',
    scopes: ['ops:write'],
    headers: ['knell-via'],
    ...deadTakes['POST /v1/dead/replay'],
    answers: {
      200: json(
        'How many were put back.',
        z.object({
          service: part.service,
          replayed: part.count,
          skipped: part.count,
          more: z.boolean(),
        }),
      ),
    },
    codes: ['unknown_service', 'broker_unavailable', 'broker_nacked', 'broker_topology'],
  },
]
