/**
 * Where a trace stands, as one text: the header `traceparent` (W3C Trace Context, section 3.2) and,
 * after a line feed, `tracestate`, where there is one. It lies beside an entry in the store and
 * travels as headers of its messages. Nothing signs it and nothing is decided on it.
 */
export type TraceText = string

/** No identifier is all zeros (section 3.2.2), and ff is no version. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/
const MAX_TRACESTATE = 512
/** What a header may hold; a comma parts the members, which are the tracers' own. */
const PRINTABLE = /^[\u0020-\u007e]+$/

/** Reads the two headers. A `traceparent` that is missing, malformed or giant is ignored; so is such a `tracestate`. */
export function readTrace(
  headers: Readonly<Record<string, unknown>> | undefined,
): TraceText | undefined {
  const parent = headers?.['traceparent']
  if (typeof parent !== 'string' || !TRACEPARENT.test(parent)) return undefined
  const state = headers?.['tracestate']
  const isFine =
    typeof state === 'string' && state.length <= MAX_TRACESTATE && PRINTABLE.test(state)
  return isFine ? `${parent}\n${state}` : parent
}

/** The headers that carry a trace on. */
export function traceHeaders(text: TraceText | undefined): Record<string, string> {
  if (text === undefined) return {}
  const [traceparent = '', tracestate] = text.split('\n')
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate }
}
