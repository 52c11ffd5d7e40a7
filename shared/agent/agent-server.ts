import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import { KnellError, toKnellError } from '../domain/errors.ts'
import { ignoreExpectations, OWN_REFUSALS } from '../http/own-refusals.ts'
import type { Subscriber } from '../subscriber/subscriber.ts'
import { readObject, refuseMalformed, sendJson, sendProblem } from './answers.ts'
import type { Authorizer } from './authorizer.ts'

/** Longer than proxies keep an idle connection (nginx: 60 s), so that it is they who close it and none asks into a closed one. */
const KEEP_ALIVE_MS = 75_000
/** A token of 16 KiB, and what else a client sends. */
const MAX_HEADER_BYTES = 65_536

export interface AgentServerOptions {
  readonly subscriber: Subscriber
  /** Undefined where there are no keys to verify tokens with. */
  readonly authorize: Authorizer | undefined
  readonly readiness: () => { readonly ready: boolean; readonly status: string }
  readonly freshness: () => object
  readonly registry: Registry
  readonly onFault: (error: unknown) => void
}

type Call = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

/** The HTTP side of the agent. Node's own server: a proxy asks once for each request that it passes on. */
export function createAgentServer(options: AgentServerOptions): Server {
  const { subscriber, readiness, freshness, registry, onFault } = options
  const authorize: Call = options.authorize ?? refuseKeyless
  const calls: Readonly<Record<string, Call>> = {
    'POST /check': async (request, response) => {
      const body = await readObject(request, ['claims', 'header', 'tenant'])
      const { claims, header, tenant } = body
      assertRecord(claims, 'claims')
      if (header !== undefined) assertRecord(header, 'header')
      const decision = await subscriber.decide(claims, header, tenantOption(tenant))
      sendJson(response, 200, decision)
    },
    'POST /verify': async (request, response) => {
      if (options.authorize === undefined) refuseKeyless()
      const { token, tenant } = await readObject(request, ['token', 'tenant'])
      if (typeof token !== 'string') throw new KnellError('invalid_request', 'Send the token.')
      sendJson(response, 200, await subscriber.verify(token, tenantOption(tenant)))
    },
    'GET /livez': (_, response) => sendJson(response, 200, { status: 'ok' }),
    'GET /readyz': (_, response) => {
      const { ready, status } = readiness()
      sendJson(response, ready ? 200 : 503, { status })
    },
    'GET /freshness': (_, response) => sendJson(response, 200, freshness()),
    'GET /metrics': async (_, response) => {
      const text = await registry.metrics()
      response.writeHead(200, { 'content-type': registry.contentType, 'cache-control': 'no-store' })
      response.end(text)
    },
  }
  const serve: Call = async (request, response) => {
    const { method = '', url = '' } = request
    const path = url.split('?', 1)[0] ?? ''
    // Envoy puts the path of the client's request behind its own.
    if (path === '/authorize' || path.startsWith('/authorize/')) return authorize(request, response)
    const call = calls[`${method} ${path}`]
    if (call === undefined) throw new KnellError('not_found', 'There is nothing here.')
    return call(request, response)
  }
  // Nothing here depends on the name that the agent is called by, so a request may do without it.
  const own = { maxHeaderSize: MAX_HEADER_BYTES, ...OWN_REFUSALS }
  const server = createServer(own, (request, response) => {
    const answered = (async () => serve(request, response))()
    answered.catch((error: unknown) => {
      const known = toKnellError(error, 'internal')
      if (known.code === 'internal') onFault(error)
      if (response.headersSent) response.destroy()
      else sendProblem(response, known)
    })
  })
  ignoreExpectations(server)
  server.on('clientError', (_, socket) => refuseMalformed(socket))
  server.keepAliveTimeout = KEEP_ALIVE_MS
  return server
}

function refuseKeyless(): never {
  throw new KnellError(
    'config_invalid',
    'This agent verifies no tokens: it was started without keys (JWT_KEYS or JWKS_URI) and ISSUER.',
  )
}

function assertRecord(
  value: unknown,
  what: string,
): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return
  throw new KnellError('invalid_request', `${what} must be an object.`)
}

/** @throws KnellError `invalid_request` */
function tenantOption(tenant: unknown): { tenant?: string } {
  if (tenant === undefined) return {}
  if (typeof tenant === 'string') return { tenant }
  throw new KnellError('invalid_request', 'tenant must be a name.')
}
