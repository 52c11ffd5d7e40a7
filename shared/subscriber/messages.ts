import { parseTails, parseTtlSteps } from '../domain/beat.ts'
import { isCount, isRecord, parseEntry, parseRule, type Entry } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import { termOf, type Log, type Position } from '../domain/position.ts'
import { JTI_LENGTH, type PlainRun } from '../domain/plain-run.ts'
import { isReason } from '../domain/reasons.ts'
import type { Rule } from '../domain/rule.ts'
import type { FeedPage, SnapshotHead } from '../domain/view.ts'

function fail(what: string): never {
  throw new KnellError('message_invalid', `An answer does not follow the contract: ${what}.`)
}

/**
 * Reads a page of the feed. Entries that cannot be read are left out and counted: their position
 * is then not passed, so the view never counts as fresh beyond them.
 */
export function parseFeedPage(
  value: unknown,
  tenant: string,
  log: Log,
): { page: FeedPage; invalid: number } {
  if (!isRecord(value)) fail('a page is not an object')
  const { at, tails, entries, more, trimmed } = value
  if (value['tenant'] !== tenant || value['log'] !== log) fail('a page of another tenant or log')
  if (!isCount(at)) fail('at is not a time in ms')
  if (!Array.isArray(entries)) fail('entries are missing')
  const read: Entry[] = []
  for (const raw of entries) {
    try {
      const entry = parseEntry(plain(raw))
      if (entry.tenant === tenant && entry.log === log) read.push(entry)
    } catch {
      // Left out: see above.
    }
  }
  return {
    page: {
      tenant,
      log,
      at,
      tails: parseTails(tails),
      entries: read,
      more: more === true,
      trimmed: Array.isArray(trimmed) ? trimmed.filter(isCount) : [],
    },
    invalid: entries.length - read.length,
  }
}

/** Where entries are signed, a page has each as the text that was signed. */
function plain(raw: unknown): unknown {
  const body = isRecord(raw) ? raw['body'] : undefined
  return typeof body === 'string' ? JSON.parse(body) : raw
}

export function parseSnapshotHead(value: unknown, tenant: string): SnapshotHead {
  if (!isRecord(value) || value['tenant'] !== tenant) fail('a snapshot of another tenant')
  const { at, tails, maxTokenTtl, beatMs } = value
  if (!isCount(at) || !isRecord(tails)) fail('a snapshot without at and tails')
  return {
    tenant,
    at,
    tails: {
      revocations: parseTails(tails['revocations']),
      expiries: parseTails(tails['expiries']),
    },
    maxTokenTtl: parseTtlSteps(maxTokenTtl),
    ...(isCount(beatMs) && beatMs > 0 ? { beatMs } : {}),
  }
}

/** A rule of a snapshot, with the place it was last written at. */
export interface RuleLine {
  readonly end: false
  readonly shard: number
  readonly epoch: string
  readonly position: Position
  readonly rule: Rule
}

/** Several plain rules of a snapshot in one line. */
export interface RunLine {
  readonly end: false
  readonly run: PlainRun
}

export type SnapshotLine = { readonly end: true; readonly count: number } | RuleLine | RunLine

/** A line of more is not read at once. */
const MAX_RUN = 1000

/** Undefined for a checkpoint, which says nothing to whoever pins no keys. */
export function parseSnapshotLine(value: unknown): SnapshotLine | undefined {
  if (!isRecord(value)) fail('a line of a snapshot is not an object')
  if (value['end'] === true) return { end: true, count: Number(value['count']) }
  if ('checkpoint' in value) return undefined
  const { shard, epoch, seq, rule } = value
  if (typeof epoch !== 'string') fail('a rule without its epoch')
  const term = termOf(epoch)
  if (!isCount(shard) || term === undefined) fail('a rule without its position')
  if ('jtis' in value) return { end: false, run: readRun(value, shard, epoch, term) }
  if (!isCount(seq)) fail('a rule without its position')
  return { end: false, shard, epoch, position: { term, seq }, rule: parseRule(rule) }
}

function readRun(
  { jtis, seqs, indexes, untils, reason }: Readonly<Record<string, unknown>>,
  shard: number,
  epoch: string,
  term: number,
): PlainRun {
  if (typeof jtis !== 'string' || jtis === '') fail('a run without its jtis')
  const count = jtis.length / JTI_LENGTH
  if (!Number.isInteger(count) || count > MAX_RUN) fail('a run of no whole number of jtis')
  const isWhole = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length === count && value.every(isCount)
  if (!isWhole(seqs) || !isWhole(indexes) || !isWhole(untils)) {
    fail('a run without a seq, index and until of each')
  }
  return {
    shard,
    epoch,
    term,
    reason: isReason(reason) ? reason : 'other',
    jtis,
    seqs,
    indexes,
    untils,
  }
}
