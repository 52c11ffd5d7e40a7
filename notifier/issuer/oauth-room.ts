import type { FastifyInstance, FastifyRequest } from 'fastify'
import { KnellError } from '../../shared/domain/errors.ts'
import type { Services } from '../../shared/http/services.ts'
import { watchClients } from '../../shared/process/watch-clients.ts'
import { cutSlowBody } from '../cut-slow-body.ts'
import { createClientAuth, type ClientAuth } from './client-auth.ts'
import { answerOAuthError } from './oauth-errors.ts'
import { FORM_TYPE, readForm } from './oauth-form.ts'

/** A token of 16 KiB and what goes with it. */
const BODY_LIMIT = 32_768

/** Where the calls of OAuth live: forms in, JSON out, errors as RFC 6749 has them. */
export interface OAuthRoom {
  /** Each route that is added to it stands under `/oauth` and needs `config: { isOpen: true }`. */
  readonly app: FastifyInstance
  readonly clients: ClientAuth
}

/** Adds `/oauth/*`. Clients are no callers with an API key: each route authenticates whom it serves. */
export function addOAuthRoom(
  app: FastifyInstance,
  services: Services,
  addRoutes: (room: OAuthRoom) => void,
): void {
  const { settings, log, health } = services
  const watched = watchClients(settings, log)
  app.addHook('onClose', async () => {
    watched.stop()
    await Promise.resolve()
  })
  const clients = createClientAuth(() => watched.current(), app.limits)
  const furnish = (room: FastifyInstance): void => {
    room.removeAllContentTypeParsers()
    const limits = { parseAs: 'buffer', bodyLimit: BODY_LIMIT } as const
    room.addContentTypeParser(FORM_TYPE, limits, readForm)
    room.setErrorHandler((error: KnellError, request, reply) =>
      answerOAuthError(error, request, reply, log),
    )
    room.addHook('onRequest', async (request) => {
      health.assertServing()
      assertNoQuery(request)
      cutSlowBody(request)
      await Promise.resolve()
    })
  }
  const served = new Set<string>()
  void app.register((room, _options, done) => {
    furnish(room)
    room.addHook('onRoute', ({ url }) => void served.add(url))
    addRoutes({ app: room, clients })
    done()
  })
  void app.register(
    (rest, _options, done) => {
      furnish(rest)
      refuseOtherCalls(rest, served)
      done()
    },
    { prefix: '/oauth' },
  )
}

/** A query ends in logs (RFC 6749, section 2.3.1). @throws KnellError `invalid_request` */
function assertNoQuery(request: FastifyRequest): void {
  if (!request.url.includes('?')) return
  throw new KnellError('invalid_request', 'Send the parameters in the body, none in the URL.')
}

/** Every call is a POST; another method is told so, whoever sends it. */
function refuseOtherCalls(rest: FastifyInstance, served: ReadonlySet<string>): void {
  // The type does not know that the options may have a config.
  const options = { config: { isOpen: true } } as object
  rest.setNotFoundHandler(options, (request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    if (!served.has(path)) throw new KnellError('not_found', 'There is nothing at this path.')
    void reply.header('allow', 'POST')
    throw new KnellError('method_not_allowed', 'Send a POST.')
  })
}
