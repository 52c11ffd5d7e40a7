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
/** So many are sorted in together. */
const MANY = 100

/**
 * One trail out of many streams, in the order of time; what is of the same millisecond is in the
 * order of its number, tenant and place, so that a record alone says where to read on, whatever is
 * written meanwhile. Each stream is read page by page as far as it is needed.
 */
export class AuditMerge {
  readonly #store: Store
  readonly #range: AuditRange
  /** Those whose next record is known, the one that comes first at the end. */
  readonly #ready: Source[] = []
  /** Those that have to be read before the order is certain. */
  #dry: Source[]
  #rounds = 0

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
    this.#dry = places.map((place) => ({ place, page, items: [], next: 0, isOver: false }))
  }

  /** How often the store was asked; each time costs a way there and back, however many streams it is about. */
  get rounds(): number {
    return this.#rounds
  }

  /** The next records whose order is certain; empty at the end. @throws KnellError `store_*` */
  async next(): Promise<AuditRecord[]> {
    if (this.#dry.length > 0) await this.#fill()
    const found: AuditRecord[] = []
    while (this.#dry.length === 0) {
      const first = this.#ready.pop()
      if (first === undefined) break
      const item = first.items[first.next++] as Item
      found.push(toAuditRecord(first.place, item))
      if (hasItem(first)) this.#insert(first)
      else if (!first.isOver) this.#dry.push(first)
    }
    return found
  }

  #insert(source: Source): void {
    let [low, high] = [0, this.#ready.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(this.#ready[middle] as Source, source) > 0) low = middle + 1
      else high = middle
    }
    this.#ready.splice(low, 0, source)
  }

  #compare(a: Source, b: Source): number {
    const order = compareItems(headOf(a), headOf(b))
    return this.#range.newestFirst ? -order : order
  }

  /** Reads on in those that are dry, and with them in those that soon will be: of thousands one after the other would be. */
  async #fill(): Promise<void> {
    const dry = this.#dry
    const reading = [...dry, ...this.#ready.filter(isLow)]
    const answers = await this.#store.readAll(reading.map((source) => this.#commandOf(source)))
    this.#rounds += 1
    for (const [i, source] of reading.entries()) {
      const answer = answers[i]
      if (!Array.isArray(answer)) {
        throw new KnellError('store_unavailable', 'A part of the audit trail cannot be read now.')
      }
      const more = answer.map((one) => itemOf(source.place, one as [string, string[]]))
      source.items = [...source.items.slice(source.next), ...more]
      source.next = 0
      source.isOver = answer.length < source.page
      source.page = Math.min(MAX_PAGE, source.page * 2)
    }
    this.#dry = []
    // Whose next record was known keeps its place.
    const found = dry.filter(hasItem)
    if (found.length < MANY) return found.forEach((source) => this.#insert(source))
    this.#ready.push(...found)
    this.#ready.sort((a, b) => this.#compare(b, a))
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

/** Whether it is likely to be dry before long. */
function isLow({ isOver, items, next, page }: Source): boolean {
  // `page` is the next one, twice as long as the last.
  return !isOver && items.length - next <= page / 4
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
