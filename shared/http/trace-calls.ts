import { context, SpanKind, trace, type Context, type Span } from '@opentelemetry/api'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { KnellError } from '../domain/errors.ts'
import { contextOf, failSpan, startSpan } from '../tracing/spans.ts'
import { readTrace } from '../tracing/trace-text.ts'

/** Asked every few seconds by machines. */
const UNTRACED: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics'])

interface TracedCall {
  readonly span: Span
  readonly within: Context
}

const calls = new WeakMap<FastifyRequest, TracedCall>()

/**
 * Gives each call a server span, by the semantic conventions for HTTP: a child of the trace that its
 * headers name (W3C Trace Context). To be added after the hook that authenticates, so that a stranger
 * makes no spans. Where an instrumentation of the process has a span for the call, that one stands.
 */
export function traceCalls(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.url
    if (UNTRACED.has(route ?? '') || trace.getActiveSpan() !== undefined) return done()
    const { method, protocol } = request
    const call = startSpan(route === undefined ? method : `${method} ${route}`, {
      kind: SpanKind.SERVER,
      // The path and the query stay out: they may name whom the call is about.
      attributes: {
        'http.request.method': method,
        'url.scheme': protocol,
        ...(route === undefined ? {} : { 'http.route': route }),
      },
      parent: contextOf(readTrace(request.headers)),
    })
    calls.set(request, call)
    // Not `finish`: a caller that is gone gets no answer, and the call ends all the same.
    if (call.span.isRecording()) {
      reply.raw.once('close', () => end(call.span, reply.raw.statusCode))
    }
    done()
    return undefined
  })
  // The body was read in a context of the socket's.
  app.addHook('preHandler', (request, _, done) => {
    const call = calls.get(request)
    if (call === undefined) done()
    else context.with(call.within, done)
  })
}

function end(span: Span, status: number): void {
  span.setAttribute('http.response.status_code', status)
  span.end()
}

/** Says in a call's span with which code it is answered. */
export function failCall(request: FastifyRequest, error: KnellError): void {
  const span = calls.get(request)?.span
  if (span === undefined) return
  // A refusal is no failure of the server's.
  if (error.status >= 500) failSpan(span, error)
  else span.setAttribute('error.type', error.code)
}
