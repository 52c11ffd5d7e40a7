import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ApiKey } from '../../shared/config/api-keys.ts'
import { isKnellError, KnellError } from '../../shared/domain/errors.ts'
import { reasons } from '../../shared/domain/reasons.ts'
import { Cap } from '../../shared/http/cap.ts'
import { parseWith, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import { SessionStore } from '../../shared/store/session-store.ts'
import { addAssets } from './assets.ts'
import { EventHub } from './event-hub.ts'
import { addJobs } from './jobs.ts'
import { loginPage, opsPage } from './pages.ts'
import { isSameOrigin } from './same-origin.ts'
import { secure } from './security-headers.ts'
import { Sessions } from './sessions.ts'

const loginBody = z.strictObject({ secret: z.string().min(1).max(1024) })
const eventsQuery = z.strictObject({ tenant: tenantSchema })
const html = 'text/html; charset=utf-8'

/**
 * The dashboard. Its pages hold no data: the browser calls the ordinary API with a session that
 * stands for the API key that logged in, so rights, limits and validation are the same as for everybody.
 */
export function addOps(app: FastifyInstance, services: Services): void {
  const { settings, store, audit, log } = services
  const { opsSessionMs: lifeMs, opsIdleMs: idleMs } = settings
  // Only its reading and writing: what a cookie means is decided before any hook of others.
  void app.register(fastifyCookie, { hook: false })
  const sessions = new Sessions(new SessionStore(store, { lifeMs, idleMs }))
  app.auth.useSessions((request, keys) => sessions.read(request, keys))
  const hub = new EventHub({ app, log, ownRead: (request) => sessions.ownRead(request) })
  const streams = new Cap(app.limits.streamsPerKey, 'streams of the dashboard')
  app.addHook('preClose', () => hub.stop())

  const open = { config: { isOpen: true } }
  const whoIs = (request: FastifyRequest, key: ApiKey): object => ({
    key: key.name,
    isOpen: app.auth.keys() === 'open',
    scopes: [...key.scopes],
    ofAllTenants: key.tenants === '*',
    tenants: [...settings.tenants.keys()].filter((tenant) => key.mayUse(tenant)),
    reasons,
    ...sessions.endOf(request),
  })

  void app.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      secure(reply, request.url.startsWith('/ops/jobs') ? 'jobs' : 'ops')
      await Promise.resolve()
    })
    const assets = await addAssets(scope)
    const [shell, door] = [opsPage(assets), loginPage(assets)]

    scope.get('/ops', open, async (request, reply) => {
      try {
        // A link on another site brings no cookie (SameSite=Strict); the login page finds the session then.
        if ((await app.auth.identify(request)) === undefined) return reply.redirect('/ops/login')
      } catch (error) {
        // Without the store nobody can be told apart; the page says so, and shows nothing else.
        if (!isKnellError(error) || error.status < 500) return reply.redirect('/ops/login')
      }
      return reply.type(html).send(shell)
    })
    scope.get('/ops/', open, (_request, reply) => reply.redirect('/ops'))
    scope.get('/ops/login', open, (_request, reply) => reply.type(html).send(door))

    // That nobody is logged in is no failed authentication: the login page asks each time it opens.
    scope.get('/ops/session', open, async (request) => {
      if ((await app.auth.identify(request)) === undefined) return { session: null }
      return { session: whoIs(request, app.auth.require(request, 'ops:read')) }
    })

    const login = { config: { isOpen: true, action: 'login' } } as const
    scope.post('/ops/session', login, async (request, reply) => {
      if (!isSameOrigin(request.headers, true)) {
        throw new KnellError('forbidden', 'Only the login page of the dashboard may log in.')
      }
      const { secret } = parseWith(loginBody, request.body, 'body')
      const key = app.auth.login(request, secret)
      app.auth.require(request, 'ops:read')
      const ended = await sessions.open(reply, key, app.auth.keys())
      await audit.login(request, key, ended)
      log.info({ key: key.name, address: request.ip, ended }, 'logged in to the dashboard')
      return { session: whoIs(request, key) }
    })

    scope.delete('/ops/session', { config: { action: 'logout' } }, async (request, reply) => {
      const key = app.auth.caller(request)
      // Who came with the secret itself has nothing to log out of.
      if (await sessions.end(request, reply)) await audit.logout(request, key)
      log.info({ key: key.name }, 'logged out of the dashboard')
      return { ended: true }
    })

    scope.get('/ops/events', async (request, reply) => {
      const { tenant: named } = parseWith(eventsQuery, request.query, 'query')
      const key = app.auth.require(request, 'ops:read')
      const { tenant } = app.auth.tenant(request, named, 'ops:read')
      streams.takeFor(key.name, reply.raw)
      hub.add(request, reply, key, tenant)
    })

    await addJobs(scope, services)
  })
}
