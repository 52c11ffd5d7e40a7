import { matchKey, type Match } from '../domain/claims.ts'
import { parseRule } from '../domain/entry.ts'
import type { Rule } from '../domain/rule.ts'
import { shardOfMatch } from '../domain/shard.ts'
import {
  toHeld,
  toLifted,
  toRevoked,
  toWire,
  type Committed,
  type HoldChange,
  type ReleaseChange,
  type RestoreChange,
  type RevokeChange,
} from './changes.ts'
import type { Asking } from './asking.ts'
import { noteDue } from './due-index.ts'
import { RuleCommit, type Accompanied, type StoredEntry } from './rule-commit.ts'
import { admitShape, assertShape } from './shapes.ts'
import { parseStoredRule, type KeptCutoff, type StoredRule } from './stored-rule.ts'
import type { Store } from './store.ts'
import { fromStore, parseStored } from './stored-json.ts'

/** What a change would do, found without writing. */
export interface RulePreview {
  /** The store's time, in ms. */
  readonly at: number
  readonly match: Match
  /** What the rule is now; null where none is kept. */
  readonly current: Rule | null
  /** What it would become; an id that does not exist yet is `dry-run`. */
  readonly rule: Rule | null
  /** The ids that a restore or release would lift. */
  readonly lifted?: readonly string[]
}

/** The rules of all tenants: every change is merged by one script per group. */
export class RuleStore {
  readonly #store: Store
  /** The door through which every change of rules goes. */
  readonly commits: RuleCommit

  constructor(
    store: Store,
    onCommitted: (entries: readonly StoredEntry[]) => void,
    asking?: Asking,
  ) {
    this.#store = store
    this.commits = new RuleCommit(store, onCommitted, asking)
  }

  /** @throws KnellError `issued_before_in_future`, `too_many_cutoffs`, `too_many_shapes`, `rule_too_large`, `store_*` */
  async revoke(tenant: string, change: RevokeChange, more?: Accompanied): Promise<Committed> {
    const shard = shardOfMatch(change.match, this.#store.shards)
    await admitShape(this.#store, tenant, change)
    return toRevoked(shard, await this.commits.commit(tenant, shard, toWire(change), more))
  }

  /**
   * Holds a match; one that is held already joins: the later `reviewBy`, `revoke` over `release`.
   * @throws KnellError `time_out_of_range`, `too_many_shapes`, `rule_too_large`, `store_*`
   */
  async hold(tenant: string, change: HoldChange, more?: Accompanied): Promise<Committed> {
    const shard = shardOfMatch(change.match, this.#store.shards)
    await admitShape(this.#store, tenant, change, change.reviewBy)
    const answer = await this.commits.commit(tenant, shard, toWire(change), more)
    const held = toHeld(shard, answer)
    await noteDue(this.#store, tenant, shard, held.reviewBy ?? change.reviewBy)
    return held
  }

  /** Lifts the hold of a match; cut-offs stay. @throws KnellError `unknown_revocation`, `store_*` */
  async release(tenant: string, change: ReleaseChange, more?: Accompanied): Promise<Committed> {
    const shard = shardOfMatch(change.match, this.#store.shards)
    return toLifted(shard, await this.commits.commit(tenant, shard, toWire(change), more))
  }

  /** By match it lifts all cut-offs, and no hold; by id what has that id. @throws KnellError `unknown_revocation`, `store_*` */
  async restore(tenant: string, change: RestoreChange, more?: Accompanied): Promise<Committed> {
    const shard = this.#shardOf(change)
    return toLifted(shard, await this.commits.commit(tenant, shard, toWire(change), more))
  }

  /** What a change would do. Writes nothing but the shard's clock. @throws KnellError as the change itself would */
  async preview(
    tenant: string,
    change: RevokeChange | HoldChange | ReleaseChange | RestoreChange,
  ): Promise<RulePreview> {
    const shard = this.#shardOf(change)
    if (change.op === 'revoke' || change.op === 'hold') {
      await assertShape(this.#store, tenant, change)
    }
    const { at, answer, before, after } = await this.commits.preview(tenant, shard, toWire(change))
    const rules = { current: parseWire(before), rule: parseWire(after) }
    if (change.op === 'revoke' || change.op === 'hold') return { at, match: change.match, ...rules }
    const { ids, match = {} } = toLifted(shard, answer)
    return { at, match, ...rules, lifted: ids }
  }

  #shardOf(change: { readonly match: Match } | { readonly shard: number }): number {
    return 'match' in change ? shardOfMatch(change.match, this.#store.shards) : change.shard
  }

  /** The uncommon shapes that live rules of a tenant may have. */
  async shapes(tenant: string): Promise<string[]> {
    const key = this.#store.keys.shard(tenant, 0).shapes
    return this.#store.ask((redis) => redis.zrange(key, 0, '-1'))
  }

  /** Whether a revocation or hold still stands, was lifted since, or is not known any more. */
  async standing(
    tenant: string,
    shard: number,
    match: Match,
    id: string,
  ): Promise<'stands' | 'lifted' | 'lost'> {
    const [stored] = (await this.get(tenant, shard, [match])).rules
    if (stored === undefined) return 'lost'
    const { holdId, cutoffs = [], lifted = [] } = stored.rule
    const kept: readonly KeptCutoff[] = stored.cutoffs ?? cutoffs
    const has = kept.some((one) => one.id === id || one.folded?.includes(id) === true)
    if (has || holdId === id) return 'stands'
    return lifted.includes(id) ? 'lifted' : 'lost'
  }

  /** The matches of this shard's live rules that name `kid`. */
  async kidMatches(tenant: string, shard: number): Promise<Match[]> {
    const key = this.#store.keys.shard(tenant, shard).kids
    const texts = await this.#store.ask((redis) => redis.hkeys(key))
    return texts.map((text) => parseStored(text) as Match)
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

/** The text of a rule as the script answers it, empty where there is none. */
export function parseWire(text: string): Rule | null {
  return text === '' ? null : fromStore(() => parseRule(JSON.parse(text)))
}
