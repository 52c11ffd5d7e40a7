import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseAcks, type Ack } from '../../domain/ack.ts'
import { KnellError } from '../../domain/errors.ts'
import type { Takes } from '../calls/call.ts'
import { instanceSchema, parseWith, serviceSchema, tenantSchema } from '../schemas.ts'
import type { Services } from '../services.ts'
import { wire } from '../shown-schema.ts'
import type { Instance } from '../../store/instance-store.ts'
import { behindOf } from '../../store/population.ts'
import { takeAcks } from '../../store/take-acks.ts'
import type { TenantState } from '../../store/feed-store.ts'

/** Five hundred entries with every second event handled. */
const BODY_LIMIT = 2 * 1024 * 1024

const listQuery = z.strictObject({ tenant: tenantSchema, service: serviceSchema.optional() })

const removeQuery = z.strictObject({
  tenant: tenantSchema,
  service: serviceSchema,
  instance: instanceSchema.optional(),
})

/** What the calls of this file take. */
export const subscriberTakes: Takes = {
  'GET /v1/subscribers': { query: listQuery },
  'DELETE /v1/subscribers': { query: removeQuery },
  'POST /v1/acks': { body: wire('ack.json') },
}

/** `POST /v1/acks`, and who listens: `GET` and `DELETE /v1/subscribers`. */
export function addSubscriberRoutes(app: FastifyInstance, services: Services): void {
  const { feed, instances, handlers, acks, audit, log } = services

  app.post('/v1/acks', { bodyLimit: BODY_LIMIT }, async (request) => {
    const key = app.auth.require(request, 'feed:read')
    const byTenant = new Map<string, Ack[]>()
    for (const ack of parseAcks(request.body)) {
      const { tenant } = app.auth.tenant(request, ack.tenant, 'feed:read')
      byTenant.set(tenant, [...(byTenant.get(tenant) ?? []), ack])
    }
    let taken = 0
    let refused = 0
    let unregistered = false
    for (const [tenant, given] of byTenant) {
      const by = { key: key.name }
      const { refused: bad, unknown } = await takeAcks(services, tenant, given, () => by)
      for (const ack of given) if (!bad.has(ack)) acks.tell(ack, by)
      unregistered ||= unknown.size > 0
      taken += given.length - bad.size
      refused += bad.size
    }
    if (taken === 0 && refused > 0) {
      throw new KnellError(
        'foreign_instance',
        'None of these acks was taken: the instance speaks under another API key, or its service has too many instances.',
      )
    }
    return {
      taken,
      ...(refused > 0 ? { refused } : {}),
      ...(unregistered ? { unregistered } : {}),
    }
  })

  app.get('/v1/subscribers', async (request) => {
    const query = parseWith(listQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, query.tenant, 'ops:read')
    const state = await feed.state(tenant)
    const { at, instances: all } = await instances.all(tenant)
    const withHandlers = await handlers.services(tenant)
    const named = all.filter(({ service }) => service === (query.service ?? service))
    return {
      tenant,
      at,
      tails: state.tails.revocations,
      subscribers: named
        .map((instance) => shown(instance, at, state, instances.isGone(instance)))
        .sort((a, b) => (`${a.service} ${a.instance}` < `${b.service} ${b.instance}` ? -1 : 1)),
      handlers: withHandlers.filter(({ service }) => service === (query.service ?? service)),
    }
  })

  app.delete('/v1/subscribers', { config: { action: 'remove-subscriber' } }, async (request) => {
    const query = parseWith(removeQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, query.tenant, 'ops:write')
    const removed = await instances.remove(tenant, query.service, query.instance)
    const { service, instance } = query
    // Without an instance the service itself goes: nothing is owed to its handlers any more.
    const ended = instance === undefined && (await handlers.remove(tenant, service))
    const asked = { action: 'remove-subscriber', details: { service, instance } } as const
    const result = { ok: true, removed, handlersEnded: ended }
    await audit.record(request, app.auth.caller(request), tenant, asked, result)
    log.info({ tenant, service, instance, removed, ended }, 'a subscriber was removed')
    return { removed, ...(ended ? { handlersEnded: true } : {}) }
  })
}

interface Shown {
  readonly service: string
  readonly instance: string
  readonly [member: string]: unknown
}

/** An instance with its position, how many entries it lacks, and how old what it contains is at most. */
function shown(instance: Instance, at: number, { tails }: TenantState, isGone: boolean): Shown {
  const { service, instance: id, state, joinedAt, maxStalenessMs, silentMs, asOf } = instance
  const { applied } = instance
  return {
    service,
    instance: id,
    state: isGone ? 'gone' : state,
    joinedAt,
    lastSeenMs: silentMs,
    maxStalenessMs,
    asOf,
    staleMs: asOf === 0 ? null : at - asOf,
    behind: behindOf(applied, tails.revocations),
    applied: applied ?? [],
    ...(instance.user === undefined ? {} : { user: instance.user }),
    ...(instance.key === undefined ? {} : { key: instance.key }),
  }
}
