import { isWanted, type AuditFilter, type AuditRecord } from '../shared/domain/audit-record.ts'
import type { Services } from '../shared/http/services.ts'
import type { AuditStore } from '../shared/store/audit-store.ts'
import { AuditMerge, type AuditCursor } from '../shared/store/audit-merge.ts'

/** What of the trail is asked for. */
export interface Trail {
  readonly tenants: readonly string[]
  /** Also what concerns no single tenant. */
  readonly own: boolean
  readonly filter: AuditFilter
  /** Ms of the store, both exclusive. */
  readonly after: number | undefined
  readonly before: number | undefined
}

export interface AuditPage {
  readonly audit: readonly AuditRecord[]
  readonly next?: string
  /** Before this time (ms) records may be missing, since a shard keeps no more. */
  readonly cutAt?: number
}

/** A page ends after so many records that were looked at, however few of them were wanted. */
const MAX_LOOKED = 20_000
/** It also ends after the store was asked so many times, such as where each of many tenants did little at a time of its own. */
export const MAX_ROUNDS = 200
/** So many shards are asked for their time at once. */
const ASKED_AT_ONCE = 100

/** The newest records first. A page may have fewer than `limit` and still name a `next`, where few of many are wanted. */
export async function readPage(
  { store, auditStore }: Pick<Services, 'store' | 'auditStore'>,
  { tenants, own, filter, after, before }: Trail,
  limit: number,
  from: string | undefined,
): Promise<AuditPage> {
  const cursor = from === undefined ? undefined : parseCursor(from)
  const range = { newestFirst: true, after, before, cursor }
  // With a filter most of what is read may be passed over, so more of it is read at once.
  const atMost = isFiltering(filter) ? undefined : limit + 1
  const merge = new AuditMerge(store, auditStore.places(tenants, own), range, atMost)
  const found: AuditRecord[] = []
  let last: AuditRecord | undefined
  const cut = await cutOf(auditStore, tenants, own)
  const page = (): AuditPage => ({
    audit: found,
    ...(last === undefined ? {} : { next: cursorOf(last) }),
    ...cut,
  })
  for (let looked = 0; merge.rounds < MAX_ROUNDS;) {
    const records = await merge.next()
    if (records.length === 0) return { audit: found, ...cut }
    for (const record of records) {
      // One more than fits was seen, or enough was looked at: there is a next page.
      if (found.length === limit || looked === MAX_LOOKED) return page()
      looked += 1
      last = record
      if (isWanted(record, filter)) found.push(record)
    }
  }
  return page()
}

/**
 * All of it as NDJSON, oldest first, up to now; the last line is `{"end":true,"count","upTo","cutAt"?}`, and
 * without it the export was cut off. Every record up to `upTo` (ms) is in it, so the next export goes on with `after=<upTo>`.
 * @throws KnellError `store_*` where it cannot begin
 */
export async function exportTrail(
  services: Services,
  trail: Trail,
): Promise<AsyncIterable<string>> {
  const { store, auditStore } = services
  const { tenants, own, filter, after, before = Infinity } = trail
  const end = Math.min(before, await settledBefore(services, tenants))
  const range = { newestFirst: false, after, before: end }
  const merge = new AuditMerge(store, auditStore.places(tenants, own), range)
  const facts = { upTo: end - 1, ...(await cutOf(auditStore, tenants, own)) }
  return exportLines(services, merge, filter, facts)
}

async function* exportLines(
  { log }: Services,
  merge: AuditMerge,
  filter: AuditFilter,
  facts: object,
): AsyncGenerator<string> {
  let count = 0
  try {
    for (;;) {
      const records = await merge.next()
      if (records.length === 0) break
      const wanted = records.filter((record) => isWanted(record, filter))
      count += wanted.length
      if (wanted.length > 0) yield wanted.map((record) => `${JSON.stringify(record)}\n`).join('')
    }
  } catch (error) {
    // The export ends without its `end` line, which tells the reader that it is not whole.
    log.warn({ err: error }, 'an export of the audit trail was broken off')
    return
  }
  yield `${JSON.stringify({ end: true, count, ...facts })}\n`
}

/** Before this time (ms) nothing can be added any more: asking a shard for its time moves the shard's clock there. */
async function settledBefore({ store }: Services, tenants: readonly string[]): Promise<number> {
  const places = tenants.flatMap((tenant) =>
    Array.from({ length: store.shards }, (_, shard) => ({ tenant, shard })),
  )
  let least = Infinity
  for (let from = 0; from < places.length; from += ASKED_AT_ONCE) {
    const some = places.slice(from, from + ASKED_AT_ONCE)
    const touched = await Promise.all(some.map(({ tenant, shard }) => store.touch(tenant, shard)))
    least = Math.min(least, ...touched.map(({ at }) => at))
  }
  return least
}

async function cutOf(
  auditStore: AuditStore,
  tenants: readonly string[],
  own: boolean,
): Promise<{ cutAt?: number }> {
  const cutAt = await auditStore.cutAt(tenants, own)
  return cutAt === undefined ? {} : { cutAt }
}

function isFiltering({ actions, who, claims }: AuditFilter): boolean {
  return actions !== undefined || who !== undefined || Object.keys(claims ?? {}).length > 0
}

function cursorOf({ id, tenant }: AuditRecord): string {
  return `${id}.${tenant ?? ''}`
}

function parseCursor(text: string): AuditCursor {
  const [place = '', label = '', tenant = ''] = text.split('.')
  const [ms, n] = place.split('-').map(Number) as [number, number]
  return { ms, n, label, tenant: tenant === '' ? null : tenant }
}
