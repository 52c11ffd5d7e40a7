import { isRecord, parseJson } from '../domain/entry.ts'
import { readLines } from '../domain/lines.ts'
import type { SnapshotHead } from '../domain/view.ts'
import { LinesDigest } from '../signing/digest.ts'
import type { EventVerifier } from '../signing/event-verifier.ts'
import { parseSnapshotHead, parseSnapshotLine, type RuleLine } from './messages.ts'
import { refusal } from './refusals.ts'
import { openSigned, type Question } from './signed-answers.ts'

const MAX_LINE_BYTES = 262_144
/** Rules that are handed on together where nothing has to be verified. */
const BATCH = 500
/** A server signs after 500 rules or a million characters; what goes on for longer unsigned is not its snapshot. */
const MAX_HELD = 1000
const MAX_HELD_CHARS = 4_000_000
const MAX_UNSIGNED_MS = 30_000

/** What may be applied so far. `count` comes with the end only. */
export interface SnapshotPart {
  readonly head: SnapshotHead
  readonly rules: readonly RuleLine[]
  readonly count?: number
}

/** Reads a snapshot line by line. Ends without a `count` where it broke off. */
export async function* readSnapshot(
  lines: AsyncIterable<Uint8Array>,
  tenant: string,
): AsyncGenerator<SnapshotPart> {
  let head: SnapshotHead | undefined
  let rules: RuleLine[] = []
  for await (const text of textsOf(lines)) {
    if (head === undefined) {
      head = parseSnapshotHead(parseJson(text), tenant)
      yield { head, rules }
      continue
    }
    const line = parseSnapshotLine(parseJson(text))
    if (line === undefined) continue
    if (line.end) {
      yield { head, rules, count: line.count }
      return
    }
    rules.push(line)
    if (rules.length < BATCH) continue
    yield { head, rules }
    rules = []
  }
  if (head !== undefined) yield { head, rules }
}

/**
 * Reads a signed snapshot: hands on only what a checkpoint, or the end, has signed, and holds no
 * more than lies between two of them. @throws KnellError `event_…`
 */
export async function* readSignedSnapshot(
  lines: AsyncIterable<Uint8Array>,
  verifier: EventVerifier,
  question: Question,
): AsyncGenerator<SnapshotPart> {
  const tenant = question['tenant'] ?? ''
  const digest = new LinesDigest()
  let first: unknown
  let held: unknown[] = []
  let chars = 0
  let count = 0
  let signedAt = performance.now()
  for await (const text of textsOf(lines)) {
    const value = parseJson(text)
    if (first !== undefined && isRecord(value) && ('checkpoint' in value || 'end' in value)) {
      const said = openSigned(verifier, 'snapshot', value, question)
      const isEnd = said['end'] === true
      count += held.length
      if (said['sha256'] !== digest.value() || said['count'] !== count) {
        throw refusal('altered', 'The lines of a snapshot are not those that were signed.')
      }
      const rules = held.flatMap((one) => {
        const line = parseSnapshotLine(one)
        return line === undefined || line.end ? [] : [line]
      })
      yield { head: parseSnapshotHead(first, tenant), rules, ...(isEnd ? { count } : {}) }
      if (isEnd) return
      held = []
      chars = 0
      signedAt = performance.now()
      continue
    }
    digest.add(text)
    if (first === undefined) {
      first = value
      continue
    }
    held.push(value)
    chars += text.length
    const isLate = performance.now() - signedAt > MAX_UNSIGNED_MS
    if (held.length > MAX_HELD || chars > MAX_HELD_CHARS || isLate) {
      throw refusal('unsigned', 'A snapshot goes on for too long without a signed checkpoint.')
    }
  }
}

async function* textsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  for await (const { text } of readLines(body, MAX_LINE_BYTES)) {
    if (text === undefined) throw new Error('A line of the snapshot is too long.')
    yield text
  }
}
