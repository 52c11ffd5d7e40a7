import Fastify, {
  type FastifyBodyParser,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import { isUtf8 } from 'node:buffer'
import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import { KnellError } from '../domain/errors.ts'
import { createAuth, type Auth } from './auth.ts'
import { Cap } from './cap.ts'
import { LIMITS, type Limits } from './limits.ts'
import { ignoreExpectations, OWN_REFUSALS } from './own-refusals.ts'
import { problemOf, tellError } from './problem.ts'
import type { KeyRing } from '../config/api-keys.ts'
import type { Settings } from '../config/settings.ts'
import type { TlsIdentity } from '../tls/tls-identity.ts'
import { traceCalls } from './trace-calls.ts'

const BODY_LIMIT = 262_144
/** Probes have no certificate. */
const PROBES: ReadonlySet<string> = new Set(['/livez', '/readyz'])
/** Calls that say how things are, whatever the store says. */
const ALWAYS: ReadonlySet<string> = new Set(['/metrics', '/v1/overview'])
/** Calls that may last long have limits of their own. */
const OWN_CAP: ReadonlySet<string> = new Set(['/v1/feed', '/v1/snapshot'])

declare module 'fastify' {
  interface FastifyInstance {
    readonly auth: Auth
    readonly limits: Limits
    /** Every call that has been added, as `GET /v1/feed`. */
    readonly calls: readonly string[]
  }
  interface FastifyContextConfig {
    /** Served to anybody, and before the store has been seen: probes, and pages without data. */
    readonly isOpen?: boolean
  }
}

/** An HTTP server with authentication, limits and errors as problem documents; routes are added by its user. */
export function createApp(
  settings: Settings,
  log: Logger,
  keys: () => KeyRing | 'open',
  assertServing: () => void,
  limits: Limits = LIMITS,
): FastifyInstance {
  const app = Fastify({
    ...serverOf(settings.serverTls),
    bodyLimit: BODY_LIMIT,
    // A bulk upload takes as long as it takes; what says nothing for a while is cut off all the same.
    requestTimeout: 0,
    connectionTimeout: 75_000,
    keepAliveTimeout: 30_000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    trustProxy: settings.trustProxy.length > 0 ? [...settings.trustProxy] : false,
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler(error, socket) {
      const detail = 'The request is not well-formed HTTP, or did not come in time.'
      const body = JSON.stringify(
        problemOf(new KnellError('invalid_request', detail, { cause: error })),
      )
      if (socket.writable) {
        socket.write(
          `HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
        )
      }
      socket.destroy()
    },
    genReqId: () => crypto.randomUUID(),
    // What Fastify refuses before any route is known, such as a path that cannot be decoded.
    frameworkErrors(error, request, reply) {
      sendProblem(error, request, reply, log)
    },
  })
  ignoreExpectations(app.server)
  const asksForCertificate = settings.serverTls?.ca !== undefined
  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, readJson(app))
  app.decorate('auth', createAuth(settings, keys, limits))
  app.decorate('limits', limits)
  app.decorate('calls', collectCalls(app))
  const calls = new Cap(limits.callsPerKey, 'calls')
  // Before any body is read, so that a stranger cannot make us wait for one.
  app.addHook('onRequest', async (request, reply) => {
    const path = request.routeOptions.url ?? ''
    assertHost(request)
    if (asksForCertificate && !PROBES.has(path)) assertCertificate(request)
    if (request.routeOptions.config.isOpen !== true) {
      await app.auth.identify(request)
      const { name } = app.auth.caller(request)
      if (!ALWAYS.has(path)) assertServing()
      if (!OWN_CAP.has(path)) calls.takeFor(name, reply.raw)
    }
  })
  traceCalls(app)
  app.setErrorHandler((error: FastifyError | KnellError, request, reply) => {
    sendProblem(error, request, reply, log)
  })
  app.setNotFoundHandler((request) => {
    throw new KnellError(
      'not_found',
      `There is nothing at ${request.method} ${request.url.split('?')[0]?.slice(0, 100)}.`,
    )
  })
  return app
}

function sendProblem(
  error: FastifyError | KnellError,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): void {
  const known = tellError(error, request, reply, log)
  if (known.code === 'unauthorized') void reply.header('www-authenticate', 'Bearer realm="knell"')
  void reply
    .status(known.status)
    .header('content-type', 'application/problem+json')
    .send(JSON.stringify(problemOf(known, request.id)))
}

/** Fastify adds a HEAD for each GET, which is no call of its own. */
function collectCalls(app: FastifyInstance): readonly string[] {
  const calls: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    // A path that goes on is another form of the call without.
    if (url.endsWith('/*')) return
    for (const each of [method].flat()) if (each !== 'HEAD') calls.push(`${each} ${url}`)
  })
  return calls
}

/**
 * A caller without a certificate of `ca` is let in as far as the probes and refused everything else,
 * since whoever probes, such as Kubernetes, has none to show.
 */
function serverOf(tls: TlsIdentity | undefined): { http?: object; https?: object } {
  if (tls === undefined) return { http: OWN_REFUSALS }
  const { ca, cert, key } = tls
  const client = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: false }
  return { https: { cert, key, ...client, ...OWN_REFUSALS } }
}

/** RFC 9112, section 3.2. @throws KnellError `invalid_request` */
function assertHost({ raw }: FastifyRequest): void {
  if (raw.headers.host !== undefined || raw.httpVersionMajor * 10 + raw.httpVersionMinor < 11)
    return
  throw new KnellError('invalid_request', 'The request has no Host header.')
}

/**
 * What the process asks of itself (`inject`) comes by no socket, and for somebody who has shown a
 * certificate; whatever comes from outside comes by one. @throws KnellError `certificate_needed`
 */
function assertCertificate(request: FastifyRequest): void {
  const { socket } = request.raw
  if (!(socket instanceof Socket)) return
  const { authorized, authorizationError } = socket as TLSSocket
  if (authorized) return
  throw new KnellError(
    'certificate_needed',
    `This process serves only callers with a client certificate that its authority has signed (${String(authorizationError)}).`,
  )
}

/**
 * JSON is UTF-8 (RFC 8259, section 8.1). Broken bytes must not become replacement characters: a
 * revocation of a value that nobody has would be acknowledged.
 */
function readJson(app: FastifyInstance): FastifyBodyParser<Buffer> {
  const parse = app.getDefaultJsonParser('error', 'error')
  return (request, body, done) => {
    // What is deleted stands in the query; clients that always name a type send no body all the same.
    if (body.length === 0 && request.method === 'DELETE') return done(null, undefined)
    const charset = /charset="?([^\s;"]+)/i.exec(request.headers['content-type'] ?? '')?.[1]
    if (charset !== undefined && charset.toLowerCase() !== 'utf-8') {
      done(new KnellError('unsupported_media_type', 'JSON is UTF-8; send no other charset.'))
      return
    }
    if (!isUtf8(body)) {
      done(new KnellError('invalid_json', 'The body is not UTF-8.'))
      return
    }
    void parse(request, body.toString('utf8'), done)
  }
}
