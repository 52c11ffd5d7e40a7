import type { Link, Span } from '@opentelemetry/api'
import type { TraceText } from '../tracing/trace-text.ts'

/** One caller's part in a group commit, as far as traces know it. */
export interface TracedCommit {
  readonly span: Span
  readonly text: TraceText | undefined
}

/** What publishes an entry is a child of one commit and linked to the others. */
export interface EntryTrace {
  readonly trace?: TraceText
  readonly links?: readonly Link[]
}

/** A span has few links, so that a large group costs no more than a small one. */
const MAX_LINKS = 32

/** Whether a trace is recorded: the lowest bit of its flags (W3C Trace Context, section 3.2.2.5). */
function isSampled(text: TraceText): boolean {
  return /[13579bdf]/.test(text[54] ?? '')
}

/**
 * The trace of an entry that came of several commits: the first that is recorded leads, else the
 * first. The commit script chooses in the same way which one it keeps beside the entry. Each other
 * commit is linked to the one that leads, since the rest of the way stands in that trace.
 */
export function joinTraces(commits: readonly TracedCommit[]): EntryTrace {
  const traced = commits.filter(({ text }) => text !== undefined)
  const leader = traced.find(({ text }) => text !== undefined && isSampled(text)) ?? traced[0]
  if (leader?.text === undefined) return {}
  const context = leader.span.spanContext()
  const links: Link[] = []
  for (const { span } of traced) {
    if (span === leader.span || !span.isRecording()) continue
    span.addLink({ context })
    if (links.length < MAX_LINKS) links.push({ context: span.spanContext() })
  }
  return { trace: leader.text, ...(links.length === 0 ? {} : { links }) }
}

/** The seq of the entry that an answer of the commit script names first; none where the change made no entry. */
export function seqOfAnswer(answer: string): number | undefined {
  const digits = /^\d+(?= )/.exec(answer)?.[0]
  return digits === undefined ? undefined : Number(digits)
}

/** Where a commit's own answer stands in its span. */
export function tellCommit(span: Span, answer: string): void {
  if (!span.isRecording()) return
  const seq = seqOfAnswer(answer)
  if (seq !== undefined) span.setAttribute('knell.seq', seq)
}
