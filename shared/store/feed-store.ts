import type { Tail, Tails } from '../domain/beat.ts'
import { parseTtlSteps } from '../domain/beat.ts'
import {
  formatPosition,
  parsePosition,
  comparePositions,
  logs,
  type Log,
  type Position,
} from '../domain/position.ts'
import type { TtlStep } from '../domain/max-token-ttl.ts'
import { seedMaxTokenTtl } from './facts.ts'
import type { StoredEntry } from './rule-commit.ts'
import type { Store, Touch } from './store.ts'
import { fromStore } from './stored-json.ts'
import { thisMoment } from '../process/this-moment.ts'

/** One answer of the feed, its entries as the bodies they travel as. */
export interface FeedAnswer {
  /** Shard 0's time (ms), read before any other shard's tail. */
  readonly at: number
  readonly tails: readonly Tail[]
  readonly bodies: readonly string[]
  readonly more: boolean
  readonly trimmed: readonly number[]
}

export interface TenantState {
  readonly at: number
  readonly tails: Tails
  readonly maxTokenTtl: readonly TtlStep[]
}

/** A shard and log that has unsent entries. */
export interface UnsentPlace {
  readonly tenant: string
  readonly log: Log
  readonly shard: number
}

/** Bounds one shard's part of a feed answer. */
const MAX_BYTES = 1_000_000
const TTL_CACHE_MS = 5000

/** The feeds of all tenants: what is read from them, and what of them is still unsent. */
export class FeedStore {
  readonly #store: Store
  readonly #seedTtl: (tenant: string) => number
  readonly #ttl = new Map<string, { steps: readonly TtlStep[]; readAt: number }>()

  /** `seedTtl`: the longest token life (seconds) with which a store that knows none is seeded. */
  constructor(store: Store, seedTtl: (tenant: string) => number) {
    this.#store = store
    this.#seedTtl = seedTtl
  }

  /** The tenant's longest token life, at most a few seconds old: a change takes force later than that. */
  async maxTokenTtl(tenant: string): Promise<readonly TtlStep[]> {
    const known = this.#ttl.get(tenant)
    if (known !== undefined && performance.now() - known.readAt < TTL_CACHE_MS) return known.steps
    const { ttl } = await this.#store.touch(tenant, 0)
    return this.#readTtl(tenant, ttl)
  }

  async #readTtl(tenant: string, text: string): Promise<readonly TtlStep[]> {
    const steps =
      text === ''
        ? await seedMaxTokenTtl(this.#store, tenant, this.#seedTtl(tenant))
        : fromStore(() => parseTtlSteps(JSON.parse(text)))
    this.#ttl.set(tenant, { steps, readAt: performance.now() })
    return steps
  }

  /** The tails of all shards at a store time. Shard 0 answers first, since its time must be older than every tail. */
  async state(tenant: string): Promise<TenantState> {
    return this.#stateAfter(tenant, await this.#store.touch(tenant, 0))
  }

  /** The state to beat with, for the one caller per interval that may beat. */
  async claimBeat(tenant: string, beatMs: number): Promise<TenantState | undefined> {
    const first = await this.#store.touch(tenant, 0, beatMs)
    return first.mayBeat ? this.#stateAfter(tenant, first) : undefined
  }

  /** The tenants whose last beat may be so long ago; the claim decides. Plain reads, so that asking costs little. */
  async beatsDue(tenants: readonly string[], beatMs: number): Promise<string[]> {
    if (!this.#store.clock.isSet) return [...tenants]
    const last = await this.#store.readAll(
      tenants.map((tenant) => ['hget', this.#store.keys.shard(tenant, 0).meta, 'beat']),
    )
    const before = this.#store.clock.latest(thisMoment()) - beatMs
    return tenants.filter((_, i) => last[i] !== undefined && Number(last[i]) <= before)
  }

  /**
   * Each tenant's tails as a text that differs where they do; undefined where the store did not
   * say. Plain reads: no new epoch is begun and no time is handed out.
   */
  async tailTexts(tenants: readonly string[]): Promise<(string | undefined)[]> {
    const { shards, keys } = this.#store
    const answers = await this.#store.readAll(
      tenants.flatMap((tenant) =>
        Array.from({ length: shards }, (_, shard): [string, ...string[]] => [
          'hmget',
          keys.shard(tenant, shard).meta,
          'term',
          'rand',
          'rev',
          'exp',
        ]),
      ),
    )
    return tenants.map((_, i) => {
      const parts = answers.slice(i * shards, (i + 1) * shards)
      return parts.includes(undefined) ? undefined : JSON.stringify(parts)
    })
  }

  async #stateAfter(tenant: string, first: Touch): Promise<TenantState> {
    const rest = await Promise.all(
      Array.from({ length: this.#store.shards - 1 }, (_, i) => this.#store.touch(tenant, i + 1)),
    )
    const all = [first, ...rest]
    const tailsOf = (log: Log): Tail[] =>
      all.map(({ epoch, tails }) => ({ epoch, seq: tails[log] }))
    return {
      at: first.at,
      tails: { revocations: tailsOf('revocations'), expiries: tailsOf('expiries') },
      maxTokenTtl: await this.#readTtl(tenant, first.ttl),
    }
  }

  /** Reads on after one position per shard; without positions just the tails. */
  async read(
    tenant: string,
    log: Log,
    after: readonly (Position | undefined)[],
    limit: number,
  ): Promise<FeedAnswer> {
    const readShard = async (shard: number) =>
      this.#readShard(tenant, log, shard, after[shard], limit)
    const first = await readShard(0)
    const rest = await Promise.all(
      Array.from({ length: this.#store.shards - 1 }, (_, i) => readShard(i + 1)),
    )
    const parts = [first, ...rest]
    return {
      at: first.at,
      tails: parts.map(({ tail }) => tail),
      bodies: parts.flatMap(({ bodies }) => bodies),
      more: parts.some(({ more }) => more),
      trimmed: parts.flatMap(({ trimmed }, shard) => (trimmed ? [shard] : [])),
    }
  }

  async #readShard(
    tenant: string,
    log: Log,
    shard: number,
    after: Position | undefined,
    limit: number,
  ): Promise<{ at: number; tail: Tail; bodies: string[]; more: boolean; trimmed: boolean }> {
    const keys = this.#store.keys.shard(tenant, shard)
    const [at, epoch, seq, trimmed, more, ...bodies] = await this.#store.run(
      'readFeed',
      [keys.meta, keys.feed[log]],
      [log === 'revocations' ? 'rev' : 'exp', after ? formatPosition(after) : '', limit, MAX_BYTES],
    )
    return {
      at: Number(at),
      tail: { epoch: String(epoch), seq: Number(seq) },
      bodies: bodies.map(String),
      more: more === 1,
      trimmed:
        after !== undefined &&
        trimmed !== '' &&
        comparePositions(after, parsePosition(String(trimmed))) < 0,
    }
  }

  /**
   * Up to `limit` entries that nobody has tried to send for `idleMs`; taking them counts as a try,
   * so that others leave them alone for as long.
   */
  async claimUnsent(
    tenant: string,
    log: Log,
    shard: number,
    idleMs: number,
    limit: number,
  ): Promise<StoredEntry[]> {
    const keys = this.#store.keys.shard(tenant, shard)
    const [, ...found] = await this.#store.run(
      'claimUnsent',
      [keys.meta, keys.feed[log], keys.unsent[log]],
      [idleMs, limit, 4 * MAX_BYTES],
    )
    const entries: StoredEntry[] = []
    for (let i = 0; i + 2 < found.length; i += 3) {
      const [id, body, trace] = found.slice(i, i + 3).map(String)
      const position = parsePosition(id ?? '')
      const kept = { tenant, log, shard, position, body: body ?? '' }
      entries.push(trace ? { ...kept, trace } : kept)
    }
    return entries
  }

  /** The shards where some entry is noted unsent, with both logs. Plain reads, since with many tenants nearly all have none. */
  async withUnsent(tenants: readonly string[]): Promise<UnsentPlace[]> {
    const places = tenants.flatMap((tenant) =>
      Array.from({ length: this.#store.shards }, (_, shard) => ({ tenant, shard })),
    )
    const counts = await this.#store.readAll(
      places.map(({ tenant, shard }) => {
        const { unsent } = this.#store.keys.shard(tenant, shard)
        return ['exists', unsent.revocations, unsent.expiries]
      }),
    )
    return places.flatMap((place, i) =>
      Number(counts[i] ?? 0) > 0 ? logs.map((log) => ({ ...place, log })) : [],
    )
  }

  /** The body of one entry, where the feed still has it. @throws KnellError `store_*` */
  async entry(
    tenant: string,
    log: Log,
    shard: number,
    position: Position,
  ): Promise<string | undefined> {
    if (shard >= this.#store.shards) return undefined
    const id = formatPosition(position)
    const key = this.#store.keys.shard(tenant, shard).feed[log]
    const [found] = await this.#store.ask((redis) => redis.xrange(key, id, id))
    return found?.[1][1]
  }

  /** Clears the notes of entries that RabbitMQ has confirmed. */
  async clearUnsent(
    tenant: string,
    log: Log,
    shard: number,
    positions: readonly Position[],
  ): Promise<void> {
    const key = this.#store.keys.shard(tenant, shard).unsent[log]
    await this.#store.ask((redis) => redis.zrem(key, ...positions.map(formatPosition)))
  }

  /** How many entries of a shard and log are not yet confirmed. */
  async countUnsent(tenant: string, log: Log, shard: number): Promise<number> {
    const key = this.#store.keys.shard(tenant, shard).unsent[log]
    return this.#store.ask((redis) => redis.zcard(key))
  }
}
