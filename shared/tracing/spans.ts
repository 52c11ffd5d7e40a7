import type { Attributes, Context, Link, Span, SpanKind, Tracer } from '@opentelemetry/api'
import { isKnellError } from '../domain/errors.ts'
import { otel } from './otel.ts'
import { readTrace, traceHeaders, type TraceText } from './trace-text.ts'

/** Does nothing, at about 20 ns a span, until whoever runs the process registers an SDK. */
let tracer: Tracer | undefined

export interface SpanPlan {
  readonly kind?: SpanKind
  /** Bounded, and free of secrets: no `jti`, `sub` or token. What is undefined is left out. */
  readonly attributes?: Attributes
  /** What the span is a child of; `ROOT_CONTEXT` begins a trace. Default: what is active. */
  readonly parent?: Context
  readonly links?: readonly Link[]
}

/** The context of a trace that came from elsewhere; without one nothing is its parent. */
export function contextOf(text: TraceText | undefined): Context {
  const { propagation, ROOT_CONTEXT } = otel()
  return text === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, traceHeaders(text))
}

/** Where a context's trace stands; undefined without an SDK. Only W3C Trace Context goes on: baggage may hold what is nobody's business. */
export function textOf(ctx: Context): TraceText | undefined {
  const carrier: Record<string, string> = {}
  otel().propagation.inject(ctx, carrier)
  return readTrace(carrier)
}

/** What whatever begins now is a part of. */
export function activeContext(): Context {
  return otel().context.active()
}

export function startSpan(
  name: string,
  { kind, attributes, parent = activeContext(), links }: SpanPlan,
): { readonly span: Span; readonly within: Context } {
  const { trace } = otel()
  tracer ??= trace.getTracer('knell')
  const span = tracer.startSpan(
    name,
    {
      ...(kind === undefined ? {} : { kind }),
      ...(attributes === undefined ? {} : { attributes }),
      ...(links === undefined ? {} : { links: [...links] }),
    },
    parent,
  )
  return { span, within: trace.setSpan(parent, span) }
}

/** Runs work within a span of its own, which ends with it. */
export async function inSpan<T>(
  name: string,
  plan: SpanPlan,
  work: (span: Span, within: Context) => Promise<T>,
): Promise<T> {
  const { span, within } = startSpan(name, plan)
  try {
    return await otel().context.with(within, () => work(span, within))
  } catch (error) {
    failSpan(span, error)
    throw error
  } finally {
    span.end()
  }
}

/** As `inSpan`, for work that is done when it returns. */
export function inSyncSpan<T>(name: string, plan: SpanPlan, work: (span: Span) => T): T {
  const { span, within } = startSpan(name, plan)
  try {
    return otel().context.with(within, () => work(span))
  } catch (error) {
    failSpan(span, error)
    throw error
  } finally {
    span.end()
  }
}

/** Marks a span as failed, with what kind of error it was and no more: messages may name whom it was about. */
export function failSpan(span: Span, error: unknown): void {
  if (!span.isRecording()) return
  const type = errorTypeOf(error)
  span.setAttribute('error.type', type)
  span.setStatus({ code: otel().SpanStatusCode.ERROR, message: type })
}

function errorTypeOf(error: unknown): string {
  if (isKnellError(error)) return error.code
  const name: unknown = error instanceof Error ? error.name : undefined
  return typeof name === 'string' && /^\w{1,64}$/.test(name) ? name : 'Error'
}
