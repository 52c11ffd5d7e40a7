import { randomUUID } from 'node:crypto'
import { matchKey, shapeOf, STANDING_SHAPES, MAX_SHAPES, type Match } from '../domain/claims.ts'
import { isRecord, parseRule } from '../domain/entry.ts'
import { KnellError, isKnellError, type ErrorCode, errorCodes } from '../domain/errors.ts'
import type { Log, Position } from '../domain/position.ts'
import type { Reason } from '../domain/reasons.ts'
import type { Cutoff, Rule } from '../domain/rule.ts'
import { shardOfMatch } from '../domain/shard.ts'
import { GroupCommit } from './group-commit.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'

/** An entry as the store keeps it: the body that travels unchanged all the way. */
export interface StoredEntry {
  readonly tenant: string
  readonly log: Log
  readonly shard: number
  readonly position: Position
  readonly body: string
}

/** What a revocation asks for, its times still open where the store's clock is to decide. */
export interface RevokeChange {
  readonly op: 'revoke'
  readonly match: Match
  readonly reason?: Reason
  /** Explicit cut-off (NumericDate), or null for "any iat"; absent: the match's default. */
  readonly issuedBefore?: number | null
  readonly except?: Match
  /** The `exp` of a token whose signature was verified. */
  readonly verifiedExp?: number
  readonly ttlSeconds: number
  readonly skewSeconds: number
  /** Whether views are asked to say at once that they have applied it. */
  readonly ack?: boolean
}

export type RestoreChange =
  | {
      readonly op: 'restore'
      readonly match: Match
      readonly ttlSeconds: number
      /** Also where the store knows no rule of the match: it may have lost one that views still hold. */
      readonly force?: boolean
    }
  | { readonly op: 'restore'; readonly id: string; readonly shard: number }

export interface Committed {
  /** The revocation's id, or the ids that a restore lifted. */
  readonly ids: readonly string[]
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  readonly issuedBefore?: number | null
  readonly until?: number | null
  /** The match that a restore was about. */
  readonly match?: Match
}

type WireChange = Readonly<Record<string, unknown>>

interface Grouped {
  readonly change: WireChange
  readonly idempotency: Idempotency | undefined
}

/** An idempotency key as the store knows it: bound to API key, tenant and body. */
export interface Idempotency {
  /** Hash of the API key's name and the key it sent; letters and digits. */
  readonly key: string
  /** Hash of the body; letters and digits. */
  readonly body: string
}

/** A group is small enough for its entry to be one message. */
const MAX_GROUP = 500
/** Tries of one commit end before the store would refuse it as too old. */
const MAX_TRY_MS = 10_000
/** A shape is admitted a little longer than its rule can live. */
const SHAPE_SLACK_SECONDS = 600

/** The rules of all tenants: every change is merged by one script per group. */
export class RuleStore {
  readonly #store: Store
  readonly #onCommitted: (entries: readonly StoredEntry[]) => void
  readonly #groups = new Map<string, GroupCommit<Grouped, string>>()

  constructor(store: Store, onCommitted: (entries: readonly StoredEntry[]) => void) {
    this.#store = store
    this.#onCommitted = onCommitted
  }

  /** @throws KnellError `issued_before_in_future`, `too_many_cutoffs`, `too_many_shapes`, `rule_too_large`, `store_*` */
  async revoke(
    tenant: string,
    change: RevokeChange,
    idempotency?: Idempotency,
  ): Promise<Committed> {
    const shard = shardOfMatch(change.match, this.#store.shards)
    await this.#admitShape(tenant, change)
    const answer = await this.#commit(
      tenant,
      shard,
      {
        op: 'revoke',
        m: matchKey(change.match),
        t: cutoffKindOf(change.match),
        r: change.reason ?? 'other',
        ttl: change.ttlSeconds,
        skew: change.skewSeconds,
        ...(change.issuedBefore === undefined ? {} : { b: change.issuedBefore ?? -1 }),
        ...(change.except === undefined ? {} : { x: matchKey(change.except) }),
        ...(change.verifiedExp === undefined ? {} : { jx: Math.ceil(change.verifiedExp) }),
        ...(change.ack === true ? { ack: true } : {}),
      },
      idempotency,
    )
    const [seq, id, issuedBefore, until, epoch] = answer.split(' ')
    return {
      ids: [String(id)],
      shard,
      epoch: String(epoch),
      seq: Number(seq),
      issuedBefore: toNumberOrNull(issuedBefore),
      until: toNumberOrNull(until),
    }
  }

  /** @throws KnellError `unknown_revocation`, `too_many_cutoffs`, `store_*` */
  async restore(
    tenant: string,
    change: RestoreChange,
    idempotency?: Idempotency,
  ): Promise<Committed> {
    const byMatch = 'match' in change
    const shard = byMatch ? shardOfMatch(change.match, this.#store.shards) : change.shard
    const answer = await this.#commit(
      tenant,
      shard,
      byMatch
        ? {
            op: 'restore',
            m: matchKey(change.match),
            t: cutoffKindOf(change.match),
            ttl: change.ttlSeconds,
            force: change.force === true,
          }
        : { op: 'restore', id: change.id },
      idempotency,
    )
    const [seq, epoch, ids, ...match] = answer.split(' ')
    return {
      ids: ids === '-' || ids === undefined ? [] : ids.split(','),
      shard,
      epoch: String(epoch),
      seq: Number(seq),
      match: JSON.parse(match.join(' ')) as Match,
    }
  }

  async #commit(
    tenant: string,
    shard: number,
    change: WireChange,
    idempotency: Idempotency | undefined,
  ): Promise<string> {
    const key = `${tenant}.${shard}`
    if (idempotency !== undefined) await this.#claimKey(tenant, idempotency)
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = new GroupCommit<Grouped, string>({
        maxItems: MAX_GROUP,
        write: (group) => this.#write(tenant, shard, group),
      })
      this.#groups.set(key, group)
    }
    const answer = await group.add({ change, idempotency })
    if (answer.startsWith('!')) throw refusalOf(answer)
    return answer
  }

  async #write(
    tenant: string,
    shard: number,
    group: readonly Grouped[],
  ): Promise<readonly string[]> {
    const keys = this.#store.keys.shard(tenant, shard)
    const id = randomUUID()
    const first = Math.floor(await this.#store.now(tenant))
    const names = [
      keys.meta,
      keys.rules,
      keys.until,
      keys.ids,
      keys.feed.revocations,
      keys.unsent.revocations,
      keys.commit(id),
      keys.kids,
    ]
    const changes = group.map(({ change, idempotency }) => {
      if (idempotency === undefined) return change
      names.push(keys.idempotency(idempotency.key))
      return { ...change, k: names.length - 8, h: idempotency.body }
    })
    const args = [tenant, shard, first, JSON.stringify(changes)]
    const reply = await retrying(() => this.#store.run('commit', names, args))
    const [word, , epoch, result] = reply.map(String)
    if (word === 'commit_too_old') {
      throw new KnellError(
        'commit_too_old',
        'The store was away too long for this write; send it again.',
      )
    }
    const entries: StoredEntry[] = []
    const term = Number(String(epoch).split('.')[0])
    for (let i = 4; i + 1 < reply.length; i += 2) {
      const position = { term, seq: Number(reply[i]) }
      entries.push({ tenant, log: 'revocations', shard, position, body: String(reply[i + 1]) })
    }
    if (entries.length > 0) this.#onCommitted(entries)
    return String(result).split('\n')
  }

  /** Binds an idempotency key to its body for all shards; the answer itself is kept where the rule lives. */
  async #claimKey(tenant: string, { key, body }: Idempotency): Promise<void> {
    const name = `${this.#store.keys.shard(tenant, 0).idempotency(key)}:body`
    let known: string | null
    try {
      known = await this.#store.redis.set(name, body, 'PX', 600_000, 'NX', 'GET')
    } catch (error) {
      throw toStoreError(error)
    }
    if (known !== null && known !== body) throw refusalOf('!idempotency_conflict')
  }

  async #admitShape(tenant: string, change: RevokeChange): Promise<void> {
    const shape = shapeOf(change.match)
    if (STANDING_SHAPES.includes(shape)) return
    const now = Math.floor((await this.#store.now(tenant)) / 1000)
    const forEver = cutoffKindOf(change.match) === 'kid'
    const until = forEver ? '+inf' : now + 2 * change.ttlSeconds + SHAPE_SLACK_SECONDS
    const keys = this.#store.keys.shard(tenant, 0)
    const limit = MAX_SHAPES - (STANDING_SHAPES.length - 1)
    const [admitted] = await this.#store.run(
      'admitShape',
      [keys.meta, keys.shapes],
      [shape, until, limit],
    )
    if (admitted !== 1) {
      throw new KnellError(
        'too_many_shapes',
        `Live rules of this tenant already use ${limit} uncommon sets of claim names; use one of them or one of: ${STANDING_SHAPES.filter((name) => name !== '').join(' · ')}.`,
      )
    }
  }

  /** The uncommon shapes that live rules of a tenant may have. */
  async shapes(tenant: string): Promise<string[]> {
    return this.#store.redis.zrange(this.#store.keys.shard(tenant, 0).shapes, 0, '-1')
  }

  /** Whether the store still knows this revocation. */
  async has(tenant: string, shard: number, id: string): Promise<boolean> {
    return (await this.#store.redis.hexists(this.#store.keys.shard(tenant, shard).ids, id)) === 1
  }

  /** The matches of this shard's live rules that name `kid`. */
  async kidMatches(tenant: string, shard: number): Promise<Match[]> {
    const texts = await this.#store.redis.hkeys(this.#store.keys.shard(tenant, shard).kids)
    return texts.map((text) => JSON.parse(text) as Match)
  }

  /** Rules by match; undefined where none is kept. All matches must live in this shard. */
  async get(
    tenant: string,
    shard: number,
    matches: readonly Match[],
  ): Promise<{ at: number; rules: (StoredRule | undefined)[] }> {
    const keys = this.#store.keys.shard(tenant, shard)
    const [at, , ...rules] = await this.#store.run(
      'getRules',
      [keys.meta, keys.rules],
      matches.map(matchKey),
    )
    return {
      at: Number(at),
      rules: rules.map((text) => (text === '' ? undefined : parseStoredRule(String(text)))),
    }
  }
}

/** A rule as the store keeps it. */
export interface StoredRule {
  readonly epoch: string
  readonly seq: number
  readonly rule: Rule
  /** Every cut-off, those left off the wire included; absent where the wire text says all. */
  readonly cutoffs?: readonly KeptCutoff[]
}

export interface KeptCutoff extends Cutoff {
  /** Ids of older cut-offs that were folded into this one and can only be restored with it. */
  readonly folded?: readonly string[]
}

/** A cut-off in the short form the script keeps. */
interface StoredCutoff {
  readonly i: string
  readonly b?: number
  readonly x?: string
  readonly f?: readonly string[]
}

function toKeptCutoff({ i: id, b, x, f }: StoredCutoff): KeptCutoff {
  return {
    id,
    issuedBefore: b ?? null,
    ...(x === undefined ? {} : { except: JSON.parse(x) as Match }),
    ...(f === undefined ? {} : { folded: f }),
  }
}

/** The wire text of a stored rule and where it was written, as texts. */
export function splitStoredRule(text: string): {
  epoch: string
  seq: string
  wire: string
  rest: string
} {
  const [place, after] = splitAt(text, '\n')
  const [epoch, seq] = splitAt(place, '-')
  const [wire, rest] = splitAt(after, '\n')
  return { epoch, seq, wire, rest }
}

export function parseStoredRule(text: string): StoredRule {
  const { epoch, seq, wire, rest } = splitStoredRule(text)
  const rule = { epoch, seq: Number(seq), rule: parseRule(JSON.parse(wire)) }
  const full: unknown = rest === '' ? undefined : JSON.parse(rest)
  if (!isRecord(full) || !Array.isArray(full['c'])) return rule
  return { ...rule, cutoffs: (full['c'] as StoredCutoff[]).map(toKeptCutoff) }
}

/** Which default cut-off a match has: `kid`, then `sid`, then `jti`, whichever it names first. */
function cutoffKindOf(match: Match): 'kid' | 'sid' | 'jti' | 'other' {
  if ('kid' in match) return 'kid'
  if ('sid' in match) return 'sid'
  return 'jti' in match ? 'jti' : 'other'
}

function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + mark.length)]
}

function toNumberOrNull(text: string | undefined): number | null {
  return text === undefined || text === 'null' ? null : Number(text)
}

function refusalOf(text: string): KnellError {
  const [word, detail] = splitAt(text.slice(1), ' ')
  const code: ErrorCode = word in errorCodes ? (word as ErrorCode) : 'internal'
  const messages: Partial<Record<ErrorCode, string>> = {
    issued_before_in_future: `issuedBefore may be at most ${detail} for this match; leave it out for the default.`,
    too_many_cutoffs:
      'This match already has 16 different revocations that cannot be joined; restore some or revoke without except.',
    rule_too_large:
      'The rule of this match would exceed 60,000 bytes; use shorter values or fewer exceptions.',
    idempotency_conflict:
      'This Idempotency-Key was used with another body in the last 10 minutes; use a new key for a new request.',
    unknown_revocation:
      'No live revocation is known by this id or match; it may have been pruned after its until. Where the store has lost it, restore by match with force.',
  }
  return new KnellError(code, messages[code] ?? 'The store refused the change.')
}

/** Tries again while the store is away: the commit's id makes a repeat harmless. */
async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  const started = performance.now()
  for (let wait = 50; ; wait = Math.min(wait * 2, 1000)) {
    try {
      return await attempt()
    } catch (error) {
      const spent = performance.now() - started
      if (!isKnellError(error, 'store_unavailable') || spent + wait > MAX_TRY_MS) throw error
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
}
