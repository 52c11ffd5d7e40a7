import { createHash, randomBytes } from 'node:crypto'
import { isRecord } from '../domain/entry.ts'
import type { FamilyDeath, FamilyFacts, FamilyState, RefreshPlan } from '../domain/family.ts'
import { KnellError } from '../domain/errors.ts'
import { MAX_GENERATION } from '../domain/refresh-token.ts'
import { shardOfMatch } from '../domain/shard.ts'
import type { Lives } from './lives.ts'
import { scheduledText, type ScheduledText } from './schedule-store.ts'
import type { Store } from './store.ts'
import { parseStored } from './stored-json.ts'

/** A family as the store keeps it: never a token, only hashes of tokens. */
export interface Family extends FamilyState {
  readonly id: string
  readonly shard: number
  readonly facts: FamilyFacts
  /** Random; tokens are made of it and of a secret that the store does not have. */
  readonly seed: string
}

/** A family that is to begin. */
export interface NewFamily {
  readonly id: string
  readonly facts: FamilyFacts
  readonly startedAt: number
  readonly endsAt: number
  readonly seed: string
  /** The hash of its first token, of generation 1. */
  readonly hash: string
}

/** A token that came for a family, and the hash of the token that would follow it. */
export interface Rotation {
  readonly generation: number
  readonly hash: string
  readonly next: string
  readonly graceMs: number
  /** The store time (ms) at which the family was looked at for it; the grace is measured from there. */
  readonly at: number
  /** What the family is about from now on; absent: what it was. */
  readonly facts?: FamilyFacts
}

export interface Rotated {
  readonly plan: RefreshPlan
  /** The generation and hash of the newest token. */
  readonly generation: number
  readonly current: string
  readonly dead?: FamilyDeath
  /** The revocation of its `sid` that a reuse has planned, for now. */
  readonly due?: ScheduledText
}

/** Rules are kept long enough for families that begin at most so long after somebody saw to it. */
const KEEP_EVERY_MS = 5000

/** Families of refresh tokens, each in the shard of the match of its `sid`. */
export class FamilyStore {
  readonly #store: Store
  readonly #kept = new Map<string, { readonly seconds: number; readonly at: number }>()

  constructor(store: Store) {
    this.#store = store
  }

  /** A new id of a family: 128 random bits that lead to the shard of its `sid`, whatever that is. */
  newId(sid: string | undefined): string {
    for (;;) {
      const id = randomBytes(16).toString('base64url')
      if (sid === undefined || this.#shardOf(id) === this.#shardOf(sid)) return id
    }
  }

  #shardOf(sid: string): number {
    return shardOfMatch({ sid }, this.#store.shards)
  }

  #keysOf(
    tenant: string,
    id: string,
    sid: string,
  ): readonly [meta: string, family: string, sid: string] {
    const keys = this.#store.keys.shard(tenant, this.#shardOf(id))
    const digest = createHash('sha256').update(sid).digest('base64url')
    return [keys.meta, keys.family(id), keys.familyOf(digest)]
  }

  /**
   * Makes sure that the rules of a tenant are kept for as long as its families live. To be awaited
   * before a family begins, so that no rule made since can end before a family that it should kill.
   */
  async keepRules(tenant: string, lifeSeconds: number): Promise<void> {
    const known = this.#kept.get(tenant)
    const at = performance.now()
    if (known?.seconds === lifeSeconds && at - known.at < KEEP_EVERY_MS) return
    const { shards, keys } = this.#store
    await Promise.all(
      Array.from({ length: shards }, (_, shard) =>
        this.#store.run('keepForFamilies', [keys.shard(tenant, shard).meta], [lifeSeconds]),
      ),
    )
    this.#kept.set(tenant, { seconds: lifeSeconds, at })
  }

  /**
   * Begins a family; the same again changes nothing.
   * @throws KnellError `session_exists` where a family of its `sid` lives; `session_ended`; `store_*`
   */
  async begin(tenant: string, family: NewFamily): Promise<void> {
    const { id, facts, startedAt, endsAt, seed, hash } = family
    await this.keepRules(tenant, endsAt - startedAt)
    const [word] = await this.#store.run('beginFamily', this.#keysOf(tenant, id, facts.sid), [
      id,
      JSON.stringify(facts),
      startedAt,
      endsAt,
      hash,
      seed,
    ])
    if (word === 'exists') {
      throw new KnellError(
        'session_exists',
        'A session with this sid lives already; end it first, or leave sid out for a new one.',
      )
    }
    if (word === 'ended') {
      throw new KnellError('session_ended', 'The session would have ended before it began.')
    }
  }

  /** A family, at the store's time (ms); undefined where there is none, or none any more. */
  async find(
    tenant: string,
    id: string,
  ): Promise<{ readonly at: number; readonly family: Family | undefined }> {
    const shard = this.#shardOf(id)
    const keys = this.#store.keys.shard(tenant, shard)
    const [at, ...fields] = await this.#store.run('readFamily', [keys.meta, keys.family(id)])
    return { at: Number(at), family: toFamily(id, shard, fields.map(String)) }
  }

  /** The id of the family that lives under a `sid`. */
  async idOf(tenant: string, sid: string): Promise<string | undefined> {
    const [, , key] = this.#keysOf(tenant, sid, sid)
    return (await this.#store.ask((redis) => redis.get(key))) ?? undefined
  }

  /** Rotates a family, or kills it where the token was used before; see `planRefresh`. */
  async rotate(tenant: string, family: Family, rotation: Rotation, lives: Lives): Promise<Rotated> {
    const { id, shard, facts } = family
    const { schedules, scheduled } = this.#store.keys.shard(tenant, shard)
    const match = { sid: facts.sid }
    const due = scheduledText(shard, { op: 'revoke', match, reason: 'reuse', ...lives })
    const [plan, , generation, current, dead] = await this.#store.run(
      'refreshFamily',
      [...this.#keysOf(tenant, id, facts.sid), schedules, scheduled],
      [
        rotation.generation,
        rotation.hash,
        rotation.next,
        rotation.graceMs,
        MAX_GENERATION,
        rotation.facts === undefined ? '' : JSON.stringify(rotation.facts),
        due.id,
        due.rest,
        id,
        Math.floor(rotation.at),
      ],
    )
    return {
      plan: plan as RefreshPlan,
      generation: Number(generation),
      current: String(current),
      ...(dead === '' ? {} : { dead: dead as FamilyDeath }),
      ...(plan === 'reuse' ? { due } : {}),
    }
  }

  /** Ends a family before its end. Answers whether it lived. */
  async end(tenant: string, { id, facts }: Family, dead: FamilyDeath): Promise<boolean> {
    const [ended] = await this.#store.run('endFamily', this.#keysOf(tenant, id, facts.sid), [
      id,
      dead,
    ])
    return ended === 1
  }
}

function toFamily(id: string, shard: number, fields: readonly string[]): Family | undefined {
  const [facts, started, ends, generation, current, previous, rotated, seed, dead] = fields
  if (facts === undefined || seed === undefined || current === undefined) return undefined
  const parsed = parseStored(facts)
  if (!isRecord(parsed)) return undefined
  return {
    id,
    shard,
    facts: parsed as unknown as FamilyFacts,
    startedAt: Number(started),
    endsAt: Number(ends),
    generation: Number(generation),
    current,
    previous: previous ?? '',
    rotatedAt: Number(rotated),
    seed,
    ...(dead === 'reuse' || dead === 'logout' ? { dead } : {}),
  }
}
