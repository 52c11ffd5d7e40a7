import { randomBytes } from 'node:crypto'
import { matchKey, type Match } from '../domain/claims.ts'
import { isKnellError, KnellError } from '../domain/errors.ts'
import type { Reason } from '../domain/reasons.ts'
import { shardOfMatch } from '../domain/shard.ts'
import {
  cutoffKindOf,
  toWire,
  type HoldChange,
  type Outcome,
  type RevokeChange,
} from './changes.ts'
import { noteDue, type DueShard } from './due-index.ts'
import type { Lives } from './lives.ts'
import type { Accompanied, RuleCommit } from './rule-commit.ts'
import { parseWire, type RulePreview, type RuleStore } from './rule-store.ts'
import { admitShape, assertShape } from './shapes.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'
import { fromStore, parseStored } from './stored-json.ts'

/** A revocation or hold that waits for its time. */
export interface Schedule {
  readonly id: string
  /** NumericDate. */
  readonly at: number
  readonly match: Match
  readonly reason?: Reason
  readonly issuedBefore?: number | null
  readonly except?: Match
  readonly hold?: { readonly reviewBy: number; readonly outcome: Outcome }
  /** The code with which it was refused when its time came; it is tried again each minute. */
  readonly problem?: string
}

/** A schedule as the store keeps it: its text is `{"at":<NumericDate>,` and the rest. */
export interface ScheduledText {
  readonly id: string
  readonly match: Match
  readonly rest: string
}

/** A place in the list of schedules, which is ordered by time and id. */
export interface ScheduleCursor {
  readonly at: number
  readonly id: string
}

/** A schedule whose time has come. */
interface DueSchedule {
  readonly id: string
  readonly match: Match
  readonly reason?: Reason
}

/** What is due in one shard, and when something next will be. */
interface Due {
  readonly holds: readonly Match[]
  readonly schedules: readonly DueSchedule[]
  /** NumericDate; undefined where nothing waits. */
  readonly next: number | undefined
}

/** Shards that are asked at once whether anything waits there. */
const ASKED_AT_ONCE = 500

/** Changes that wait: schedules, and the outcomes of holds. Each is made by the commit script, once, as of the time it was due. */
export class ScheduleStore {
  readonly #store: Store
  readonly #commits: RuleCommit

  constructor(store: Store, rules: RuleStore) {
    this.#store = store
    this.#commits = rules.commits
  }

  /** Keeps a change for `at` (NumericDate). @throws KnellError `time_out_of_range`, `too_many_schedules`, `issued_before_in_future`, `too_many_shapes`, `store_*` */
  async schedule(
    tenant: string,
    at: number,
    change: RevokeChange | HoldChange,
    more?: Accompanied,
  ): Promise<{ id: string; at: number; shard: number }> {
    const shard = shardOfMatch(change.match, this.#store.shards)
    await admitShape(this.#store, tenant, change, change.op === 'hold' ? change.reviewBy : at)
    const wire = toScheduleWire(shard, at, change)
    const answer = await this.#commits.commit(tenant, shard, wire, more)
    const [id, time] = answer.split(' ')
    await noteDue(this.#store, tenant, shard, Number(time))
    return { id: String(id), at: Number(time), shard }
  }

  /** What the rule would become if the change were made now as of `at`. Writes nothing but the shard's clock. */
  async preview(
    tenant: string,
    at: number,
    change: RevokeChange | HoldChange,
  ): Promise<RulePreview> {
    const shard = shardOfMatch(change.match, this.#store.shards)
    await assertShape(this.#store, tenant, change)
    const wire = toScheduleWire(shard, at, change)
    const found = await this.#commits.preview(tenant, shard, wire)
    return {
      at: found.at,
      match: change.match,
      current: parseWire(found.before),
      rule: parseWire(found.after),
    }
  }

  /** Drops a schedule that has not been made. @throws KnellError `unknown_schedule`, `store_*` */
  async cancel(tenant: string, id: string, act?: string): Promise<Schedule> {
    const shard = Number(id.slice(1).split('-')[0])
    if (shard >= this.#store.shards) {
      throw new KnellError('unknown_schedule', 'No schedule with this id is waiting.')
    }
    const text = await this.#commits.commit(tenant, shard, { op: 'cancel', id }, { act })
    return parseSchedule(id, text)
  }

  /** A page of the schedules that wait, soonest first, and where to read on. */
  async list(
    tenant: string,
    limit: number,
    after: ScheduleCursor | undefined,
  ): Promise<{ schedules: Schedule[]; next?: ScheduleCursor }> {
    const shards = Array.from({ length: this.#store.shards }, (_, shard) => shard)
    const pages = await Promise.all(
      shards.map(async (shard) => {
        const keys = this.#store.keys.shard(tenant, shard)
        return this.#store.run(
          'listSchedules',
          [keys.meta, keys.schedules, keys.scheduled],
          [after?.at ?? '-inf', after?.id ?? '', limit + 1],
        )
      }),
    )
    const found: (ScheduleCursor & { text: string })[] = []
    for (const page of pages) {
      for (let i = 0; i + 2 < page.length; i += 3) {
        found.push({ id: String(page[i]), at: Number(page[i + 1]), text: String(page[i + 2]) })
      }
    }
    found.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
    const shown = found.slice(0, limit)
    const last = shown.at(-1)
    const schedules = shown.map(({ id, text }) => parseSchedule(id, text))
    return found.length > limit && last !== undefined
      ? { schedules, next: { at: last.at, id: last.id } }
      : { schedules }
  }

  /** Those of the shards in which anything waits; far cheaper than to ask each what is due. */
  async waiting(shards: readonly DueShard[]): Promise<DueShard[]> {
    const found: DueShard[] = []
    try {
      for (let from = 0; from < shards.length; from += ASKED_AT_ONCE) {
        const some = shards.slice(from, from + ASKED_AT_ONCE)
        const asked = some.map(({ tenant, shard }) => {
          const { holds, scheduled } = this.#store.keys.shard(tenant, shard)
          return this.#store.redis.exists(holds, scheduled)
        })
        const counts = await Promise.all(asked)
        found.push(...some.filter((_, i) => Number(counts[i]) > 0))
      }
    } catch (error) {
      throw toStoreError(error)
    }
    return found
  }

  /** What was due `graceMs` ago in one shard. */
  async due(tenant: string, shard: number, graceMs: number, limit = 200): Promise<Due> {
    const keys = this.#store.keys.shard(tenant, shard)
    const [, next, holds, ...rest] = await this.#store.run(
      'dueChanges',
      [keys.meta, keys.holds, keys.schedules, keys.scheduled],
      [graceMs, limit],
    )
    const held = Number(holds)
    const schedules: DueSchedule[] = []
    for (let i = held; i + 1 < rest.length; i += 2) {
      const { id, match, reason } = parseSchedule(String(rest[i]), String(rest[i + 1]))
      schedules.push({ id, match, ...(reason === undefined ? {} : { reason }) })
    }
    return {
      holds: rest.slice(0, held).map((text) => parseStored(String(text)) as Match),
      schedules,
      next: next === '' ? undefined : Number(next),
    }
  }

  /** Ends a hold whose `reviewBy` has come. Answers whether there was one. @throws KnellError `too_many_cutoffs`, `rule_too_large`, `store_*` */
  async outcome(
    tenant: string,
    shard: number,
    match: Match,
    lives: Lives,
    act?: string,
  ): Promise<boolean> {
    await this.#admit(tenant, match, lives)
    const { ttlSeconds: ttl, skewSeconds: skew } = lives
    const change = { op: 'outcome', m: matchKey(match), t: cutoffKindOf(match), ttl, skew }
    return (await this.#commits.commit(tenant, shard, change, { act })) !== '-'
  }

  /** Makes a scheduled change whose time has come. Answers whether it was there. @throws KnellError `too_many_cutoffs`, `rule_too_large`, `store_*` */
  async fire(
    tenant: string,
    shard: number,
    { id, match }: { readonly id: string; readonly match: Match },
    lives: Lives,
    act?: string,
  ): Promise<boolean> {
    await this.#admit(tenant, match, lives)
    const { ttlSeconds: ttl, skewSeconds: skew } = lives
    const change = { op: 'fire', id, ttl, skew }
    return (await this.#commits.commit(tenant, shard, change, { act })) !== '-'
  }

  /** The shape was admitted when the change was made or kept; this keeps it for as long as the rule now lives. */
  async #admit(tenant: string, match: Match, { ttlSeconds }: Lives): Promise<void> {
    try {
      await admitShape(this.#store, tenant, { match, ttlSeconds })
    } catch (error) {
      if (!isKnellError(error, 'too_many_shapes')) throw error
    }
  }
}

function toScheduleWire(
  shard: number,
  at: number,
  change: RevokeChange | HoldChange,
): Record<string, unknown> {
  const { id, rest } = scheduledText(shard, change)
  const c = toWire(change)
  return { op: 'schedule', id, at, text: `{"at":${at},${rest}`, c }
}

/** A change for later as the store keeps it. */
export function scheduledText(shard: number, change: RevokeChange | HoldChange): ScheduledText {
  const { match, reason } = change
  const shown =
    change.op === 'hold'
      ? { hold: { reviewBy: change.reviewBy, outcome: change.outcome } }
      : {
          ...(change.issuedBefore === undefined ? {} : { issuedBefore: change.issuedBefore }),
          ...(change.except === undefined ? {} : { except: change.except }),
        }
  // Its claims are only for the list: the script takes those of `c`, which are texts.
  const text = JSON.stringify({
    match,
    ...(reason === undefined ? {} : { reason }),
    ...shown,
    c: toWire(change),
  })
  return { id: `s${shard}-${randomBytes(10).toString('hex')}`, match, rest: text.slice(1) }
}

function parseSchedule(id: string, text: string): Schedule {
  return fromStore(() => {
    const { c: _, ...shown } = JSON.parse(text) as Omit<Schedule, 'id'> & { c: unknown }
    return { id, ...shown }
  })
}
