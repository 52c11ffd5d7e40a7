import { isRecord, parseJson } from '../domain/entry.ts'
import { readLineBatches } from '../domain/lines.ts'
import type { SnapshotHead } from '../domain/view.ts'
import { LinesDigest } from '../signing/digest.ts'
import type { EventVerifier } from '../signing/event-verifier.ts'
import {
  parseSnapshotHead,
  parseSnapshotLine,
  type RuleLine,
  type RunLine,
  type SnapshotLine,
} from './messages.ts'
import { refusal } from './refusals.ts'
import { openSigned, type Question } from './signed-answers.ts'

const MAX_LINE_BYTES = 262_144
/** A server signs after 500 rules or a million characters; what goes on for longer unsigned is not its snapshot. */
const MAX_HELD = 1000
const MAX_HELD_CHARS = 4_000_000
const MAX_UNSIGNED_MS = 30_000

/** What may be applied so far. `count` comes with the end only. */
export interface SnapshotPart {
  readonly head: SnapshotHead
  readonly lines: readonly (RuleLine | RunLine)[]
  readonly count?: number
}

/** How many rules these lines bring. */
export function rulesIn(lines: SnapshotPart['lines']): number {
  return lines.reduce((sum, line) => sum + ('run' in line ? line.run.seqs.length : 1), 0)
}

/** Reads a snapshot line by line. Ends without a `count` where it broke off. */
export async function* readSnapshot(
  body: AsyncIterable<Uint8Array>,
  tenant: string,
): AsyncGenerator<SnapshotPart> {
  let head: SnapshotHead | undefined
  let lines: (RuleLine | RunLine)[] = []
  for await (const texts of textsOf(body)) {
    for (const text of texts) {
      if (head === undefined) {
        head = parseSnapshotHead(parseJson(text), tenant)
        continue
      }
      const line = parseSnapshotLine(parseJson(text))
      if (line === undefined) continue
      if (line.end) {
        yield { head, lines, count: line.count }
        return
      }
      lines.push(line)
    }
    if (head === undefined) continue
    yield { head, lines }
    lines = []
  }
}

/**
 * Reads a signed snapshot: hands on only what a checkpoint, or the end, has signed, and holds no
 * more than lies between two of them. @throws KnellError `event_…`
 */
export async function* readSignedSnapshot(
  body: AsyncIterable<Uint8Array>,
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
  for await (const texts of textsOf(body)) {
    for (const text of texts) {
      const value = parseJson(text)
      if (first !== undefined && isRecord(value) && ('checkpoint' in value || 'end' in value)) {
        const said = openSigned(verifier, 'snapshot', value, question)
        const isEnd = said['end'] === true
        const isSame = said['sha256'] === digest.value()
        const lines = isSame ? held.map(parseSnapshotLine).filter(isRuleOrRun) : []
        count += rulesIn(lines)
        if (!isSame || said['count'] !== count) {
          throw refusal('altered', 'The lines of a snapshot are not those that were signed.')
        }
        yield { head: parseSnapshotHead(first, tenant), lines, ...(isEnd ? { count } : {}) }
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
}

function isRuleOrRun(line: SnapshotLine | undefined): line is RuleLine | RunLine {
  return line !== undefined && !line.end
}

/** The lines that each chunk has ended. */
async function* textsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  for await (const lines of readLineBatches(body, MAX_LINE_BYTES)) {
    yield lines.map(({ text }) => {
      if (text === undefined) throw new Error('A line of the snapshot is too long.')
      return text
    })
  }
}
