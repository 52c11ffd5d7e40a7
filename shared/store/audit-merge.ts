import type { AuditRecord } from '../domain/audit-record.ts'
import { KnellError } from '../domain/errors.ts'
import { toAuditRecord, type AuditPlace, type RawRecord } from './audit-record-reader.ts'
import type { Store } from './store.ts'

/** A place in a trail: after the record of this id in the order in which it is read. */
export interface AuditCursor {
  readonly ms: number
  readonly n: number
  readonly tenant: string | null
  readonly label: string
}

export interface AuditRange {
  readonly newestFirst: boolean
  /** Only records later than this, and earlier than that (ms of the store). */
  readonly after?: number | undefined
  readonly before?: number | undefined
  readonly cursor?: AuditCursor | undefined
}

/** So many records of one place are read at once at most. */
const MAX_PAGE = 500
/** What all places together read before anything is known of them. */
const FIRST_READ = 4000

/**
 * One trail out of many streams, in the order of time; what is of the same millisecond is in the
 * order of its number, tenant and place, so that a record alone says where to read on, whatever is
 * written meanwhile. Each stream is read page by page as far as it is needed.
 */
export class AuditMerge {
  readonly #store: Store
  readonly #sources: Source[]
  readonly #range: AuditRange

  constructor(
    store: Store,
    places: readonly AuditPlace[],
    range: AuditRange,
    atMost: number = MAX_PAGE,
  ) {
    const fair = Math.max(2, Math.floor(FIRST_READ / Math.max(1, places.length)))
    const page = Math.min(MAX_PAGE, atMost, fair)
    this.#store = store
    this.#range = range
    this.#sources = places.map((place) => ({ place, page, items: [], next: 0, isOver: false }))
  }

  /** The next records whose order is certain; empty at the end. @throws KnellError `store_*` */
  async next(): Promise<AuditRecord[]> {
    await this.#fill()
    const live = this.#sources.filter(hasItem).sort((a, b) => this.#compare(a, b))
    const found: AuditRecord[] = []
    for (;;) {
      const [first] = live
      if (first === undefined) return found
      const item = first.items[first.next++] as Item
      found.push(toAuditRecord(first.place, item))
      live.shift()
      if (hasItem(first)) this.#insert(live, first)
      else if (!first.isOver) return found
    }
  }

  #insert(live: Source[], source: Source): void {
    let [low, high] = [0, live.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(live[middle] as Source, source) < 0) low = middle + 1
      else high = middle
    }
    live.splice(low, 0, source)
  }

  #compare(a: Source, b: Source): number {
    const order = compareItems(headOf(a), headOf(b))
    return this.#range.newestFirst ? -order : order
  }

  async #fill(): Promise<void> {
    const empty = this.#sources.filter((source) => !hasItem(source) && !source.isOver)
    const answers = await this.#store.readAll(empty.map((source) => this.#commandOf(source)))
    for (const [i, source] of empty.entries()) {
      const answer = answers[i]
      if (!Array.isArray(answer)) {
        throw new KnellError('store_unavailable', 'A part of the audit trail cannot be read now.')
      }
      source.items = answer.map((one) => itemOf(source.place, one as [string, string[]]))
      source.next = 0
      source.isOver = answer.length < source.page
      source.page = Math.min(MAX_PAGE, source.page * 2)
    }
  }

  #commandOf({ place, page, items }: Source): [string, ...string[]] {
    const { newestFirst, after, before, cursor } = this.#range
    const last = items.at(-1)
    const from = last === undefined ? startOf(place, cursor, newestFirst) : `(${last.id}`
    const [low, high] = [after === undefined ? '-' : `${after + 1}-0`, highOf(before)]
    const count = ['COUNT', String(page)]
    return newestFirst
      ? ['xrevrange', place.key, from ?? high, low, ...count]
      : ['xrange', place.key, from ?? low, high, ...count]
  }
}

interface Item extends RawRecord {
  readonly place: AuditPlace
  readonly ms: number
  readonly n: number
}

interface Source {
  readonly place: AuditPlace
  page: number
  items: Item[]
  next: number
  /** Whether nothing follows what was read. */
  isOver: boolean
}

function hasItem(source: Source): boolean {
  return source.next < source.items.length
}

function headOf(source: Source): Item {
  return source.items[source.next] as Item
}

function itemOf(place: AuditPlace, [id, flat]: [string, string[]]): Item {
  const fields = new Map<string, string>()
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(String(flat[i]), String(flat[i + 1]))
  const [ms, n] = id.split('-').map(Number) as [number, number]
  return { place, id, ms, n, fields }
}

function compareItems(a: Item, b: Item): number {
  return a.ms - b.ms || a.n - b.n || comparePlaces(a.place, b.place)
}

interface Placed {
  readonly tenant: string | null
  readonly label: string
}

function comparePlaces(a: Placed, b: Placed): number {
  const [left, right] = [`${a.tenant ?? ''}\n${a.label}`, `${b.tenant ?? ''}\n${b.label}`]
  return left === right ? 0 : left < right ? -1 : 1
}

/** Where a place goes on after a cursor that may be of another one. */
function startOf(
  place: AuditPlace,
  cursor: AuditCursor | undefined,
  newestFirst: boolean,
): string | undefined {
  if (cursor === undefined) return undefined
  const order = comparePlaces(place, cursor)
  const isStillToCome = newestFirst ? order < 0 : order > 0
  return `${isStillToCome ? '' : '('}${cursor.ms}-${cursor.n}`
}

function highOf(before: number | undefined): string {
  return before === undefined ? '+' : `${Math.max(0, before - 1)}`
}
