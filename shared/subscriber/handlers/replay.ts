import { isCount, isRecord } from '../../domain/entry.ts'
import { parseTails, type Tail } from '../../domain/beat.ts'
import { KnellError } from '../../domain/errors.ts'
import {
  comparePositions,
  formatPosition,
  ORIGIN,
  parsePosition,
  termOf,
  type Log,
  type Position,
} from '../../domain/position.ts'
import { positionOf } from '../../domain/entry.ts'
import type { HandledCounts } from '../events.ts'
import type { PullClient } from '../pull-client.ts'
import { batchOf, type Batch, type BatchRules } from './batch.ts'
import type { ReplayOptions } from './options.ts'

export interface ReplayCounts {
  /** Entries that were run. */
  entries: number
  handled: number
  /** Events that failed and are tried again later. */
  retried: number
  dead: number
}

const PAGE = '100'
/** Entries that run at a time; their events keep to the handlers' own concurrency. */
const AT_ONCE = 10

/** One sweep trims all shards within this, in ms. */
const SWEEP_MS = 60_000

interface Page {
  readonly tails: readonly Tail[]
  readonly bodies: readonly { readonly body: string; readonly signature?: string }[]
  readonly more: boolean
  readonly trimmed: readonly number[]
}

/**
 * Reads the feed from a position or a time and runs the handlers on what it brings, in this instance.
 * @throws KnellError `feed_trimmed` where the feed no longer reaches back so far, `pull_failed`, `message_invalid`
 */
export async function replay(
  options: ReplayOptions & { readonly tenant: string },
  {
    client,
    rules,
    run,
  }: {
    client: PullClient
    rules: BatchRules
    run: (batch: Batch) => Promise<HandledCounts | undefined>
  },
): Promise<ReplayCounts> {
  const { tenant, log, from } = options
  const since = 'at' in from ? Number(from.at) : -Infinity
  const until = options.until === undefined ? Infinity : Number(options.until)
  const read = (after: string): Promise<Page> => readPage(client, tenant, log, after)
  const { tails: ends } = await read('')
  let positions =
    'after' in from ? from.after.map((text) => parsePosition(text)) : ends.map(() => ORIGIN)
  if (positions.length !== ends.length) {
    throw new KnellError('invalid_position', `after needs ${ends.length} positions, one per shard.`)
  }
  const counts: ReplayCounts = { entries: 0, handled: 0, retried: 0, dead: 0 }
  let unproven = new Set<number>()
  for (let isFirst = true; ; isFirst = false) {
    const page = await read(positions.map(formatPosition).join(','))
    const batches = page.bodies.map(({ body, signature }) =>
      batchOf(body, signature, Date.now(), rules),
    )
    if (page.trimmed.length > 0 && (!isFirst || 'after' in from)) throw trimmed(page.trimmed)
    if (isFirst) {
      const emptied = page.trimmed.filter(
        (shard) => !batches.some(({ entry }) => entry.shard === shard),
      )
      const oldest = Math.min(...batches.map(({ entry }) => entry.at))
      // A shard that is empty was trimmed by age alone, about when the others were: where one shows what is older, nothing is gone.
      const isProven = oldest <= since - SWEEP_MS
      unproven = new Set(
        isProven ? page.trimmed.filter((one) => !emptied.includes(one)) : page.trimmed,
      )
      if (isProven) {
        positions = positions.map((position, shard) => {
          const tail = page.tails[shard]
          return tail !== undefined && emptied.includes(shard) ? toPosition(tail) : position
        })
      }
    }
    // Of a shard that was trimmed the feed must show something from before the time, or something was lost after it.
    for (const { entry } of batches) {
      if (!unproven.has(entry.shard)) continue
      if (entry.at > since) throw trimmed([entry.shard])
      unproven.delete(entry.shard)
    }
    const wanted = batches.filter(({ entry }) => {
      const end = ends[entry.shard]
      const isBefore =
        end !== undefined && comparePositions(positionOf(entry), toPosition(end)) <= 0
      return isBefore && entry.at >= since && entry.at <= until
    })
    await runAll(wanted, run, counts)
    positions = advance(positions, batches)
    if (isAtEnd(positions, ends) || !page.more) break
  }
  if (unproven.size > 0) throw trimmed([...unproven])
  return counts
}

async function runAll(
  batches: readonly Batch[],
  run: (batch: Batch) => Promise<HandledCounts | undefined>,
  counts: ReplayCounts,
): Promise<void> {
  for (let i = 0; i < batches.length; i += AT_ONCE) {
    const results = await Promise.all(batches.slice(i, i + AT_ONCE).map(async (one) => run(one)))
    for (const settled of results) {
      if (settled === undefined) {
        throw new KnellError('shutting_down', 'The subscriber was closed during a replay.')
      }
      counts.entries += 1
      counts.handled += settled.handled
      counts.retried += settled.retried + settled.postponed
      counts.dead += settled.dead
    }
  }
}

function advance(positions: readonly Position[], batches: readonly Batch[]): Position[] {
  const next = [...positions]
  for (const { entry } of batches) {
    const position = positionOf(entry)
    const known = next[entry.shard]
    if (known !== undefined && comparePositions(position, known) > 0) next[entry.shard] = position
  }
  return next
}

function toPosition({ epoch, seq }: Tail): Position {
  return { term: termOf(epoch) ?? 0, seq }
}

function isAtEnd(positions: readonly Position[], ends: readonly Tail[]): boolean {
  return ends.every((end, shard) => {
    // A shard that never had an entry is at its end wherever one stands.
    return end.seq === 0 || comparePositions(positions[shard] ?? ORIGIN, toPosition(end)) >= 0
  })
}

function trimmed(shards: readonly number[]): KnellError {
  return new KnellError(
    'feed_trimmed',
    'The feed no longer reaches back so far: entries were trimmed away.',
    { details: { shards: [...shards] } },
  )
}

async function readPage(
  client: PullClient,
  tenant: string,
  log: Log,
  after: string,
): Promise<Page> {
  const value = await client.json({
    path: '/v1/feed',
    query: { tenant, log, after, limit: PAGE },
  })
  if (!isRecord(value) || value['tenant'] !== tenant || value['log'] !== log) {
    throw new KnellError('message_invalid', 'A page of the feed is of another tenant or log.')
  }
  const { tails, entries, more, trimmed: gone } = value
  if (!Array.isArray(entries)) {
    throw new KnellError('message_invalid', 'A page of the feed has no entries.')
  }
  return {
    tails: parseTails(tails),
    bodies: entries.map(toBody),
    more: more === true,
    trimmed: Array.isArray(gone) ? gone.filter(isCount) : [],
  }
}

/** A signed entry comes as its text beside the signature; another as itself. */
function toBody(entry: unknown): { body: string; signature?: string } {
  if (isRecord(entry) && typeof entry['body'] === 'string') {
    const { body, signature } = entry
    return { body, ...(typeof signature === 'string' ? { signature } : {}) }
  }
  return { body: JSON.stringify(entry) }
}
