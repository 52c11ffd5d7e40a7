import {
  carries,
  matchKey,
  type Claims,
  type Header,
  type Match,
} from '../../shared/domain/claims.ts'

export interface KnownCutoff {
  /** `<tenant> <id>`, since two tenants may have given the same id. */
  readonly id: string
  readonly match: Match
  /** NumericDate; null: any `iat`. */
  readonly issuedBefore: number | null
  readonly except?: Match | undefined
  /** When the store made it, ms of the run. */
  readonly at: number
}

export interface KnownHold {
  readonly id: string
  readonly match: Match
  readonly reviewBy: number
  readonly outcome: 'release' | 'revoke'
  readonly at: number
}

interface KnownRule {
  readonly cutoffs: readonly KnownCutoff[]
  readonly hold?: KnownHold | undefined
}

/** Whether a view must refuse a token, may (what it rests on was lost by the store), or must not. */
export type Duty = 'must' | 'may' | 'never'

type Change = Readonly<Record<string, unknown>>

/**
 * What a server has executed, told in the plainest way: an independent model of rules and of the wheel,
 * with a memory of what a server that fell back has lost. What views say is held against it.
 */
export class Ledger {
  readonly #rules: Map<string, KnownRule>
  /** All cut-offs and holds that were ever made, by any server of the run. */
  readonly made: Map<string, KnownCutoff | KnownHold>
  /** Ids of cut-offs and holds that were lifted. */
  readonly #lifted: Set<string>
  /** The matches of which anything was ever lifted, or lost its being so. */
  readonly #liftedMatches: Map<string, Match>
  /** Cut-offs and holds that a server has lost and that views may know. */
  readonly #ghosts: Map<string, KnownCutoff | KnownHold>
  /** Ids whose lifting was lost: the server has them in force again, views may not. */
  readonly #lostLifts: Set<string>
  /** Registered tokens by `<tenant> <jti> <exp>`. */
  readonly tokens: Set<string>
  /** How often each was announced as expired in the feed. */
  readonly announced: Map<string, number>
  /** The places of all entries that were made. */
  readonly entries: Set<string>
  /** Tokens that were passed over, or may have been, since their `jti` was revoked. */
  readonly #revokedJtis: Set<string>

  constructor(from?: Ledger) {
    this.made = from === undefined ? new Map() : from.made
    this.#rules = new Map(from === undefined ? [] : from.#rules)
    this.#lifted = new Set(from === undefined ? [] : from.#lifted)
    this.#liftedMatches = new Map(from === undefined ? [] : from.#liftedMatches)
    this.#ghosts = new Map(from === undefined ? [] : from.#ghosts)
    this.#lostLifts = new Set(from === undefined ? [] : from.#lostLifts)
    this.tokens = new Set(from?.tokens)
    this.announced = new Map(from?.announced)
    this.entries = new Set(from === undefined ? [] : from.entries)
    this.#revokedJtis = new Set(from === undefined ? [] : from.#revokedJtis)
  }

  /** `succeeds`: what this state takes the place of; what that has more is lost. */
  clone(options: { succeeds?: Ledger } = {}): Ledger {
    const copy = new Ledger(this)
    if (options.succeeds !== undefined) copy.noteLost(options.succeeds)
    return copy
  }

  /** What another server has executed is lost with it. */
  noteLost(other: Ledger): void {
    for (const [id, ghost] of other.#ghosts) this.#ghosts.set(id, ghost)
    for (const id of other.#lostLifts) this.#lostLifts.add(id)
    for (const [key, match] of other.#liftedMatches) this.#liftedMatches.set(key, match)
    for (const jti of other.#revokedJtis) this.#revokedJtis.add(jti)
    for (const { cutoffs, hold } of other.#rules.values()) {
      for (const each of hold === undefined ? cutoffs : [...cutoffs, hold]) {
        if (!this.#has(each) && !this.#lifted.has(each.id)) this.#ghosts.set(each.id, each)
      }
    }
    // Made and lifted, and both lost: a view may have heard of the one and not of the other.
    for (const id of other.#lifted) {
      const each = this.made.get(id)
      if (each !== undefined && !this.#has(each) && !this.#lifted.has(id))
        this.#ghosts.set(id, each)
    }
    for (const { cutoffs, hold } of this.#rules.values()) {
      for (const { id } of hold === undefined ? cutoffs : [...cutoffs, hold]) {
        if (other.#lifted.has(id)) this.#lostLifts.add(id)
      }
    }
  }

  #has({ id, match }: KnownCutoff | KnownHold): boolean {
    const { cutoffs = [], hold } = this.#rules.get(matchKey(match)) ?? {}
    return hold?.id === id || cutoffs.some((cutoff) => cutoff.id === id)
  }

  /** The cut-offs and holds in force, without those whose lifting was lost. */
  *inForce(): Generator<KnownCutoff | KnownHold> {
    for (const { cutoffs, hold } of this.#rules.values()) {
      for (const each of cutoffs) if (!this.#lostLifts.has(each.id)) yield each
      if (hold !== undefined && !this.#lostLifts.has(hold.id)) yield hold
    }
  }

  dutyTo(claims: Claims, header: Header): Duty {
    for (const each of this.inForce()) if (covers(each, claims, header)) return 'must'
    for (const each of this.#ghosts.values()) if (covers(each, claims, header)) return 'may'
    for (const { cutoffs, hold } of this.#rules.values()) {
      for (const each of cutoffs) if (covers(each, claims, header)) return 'may'
      if (hold !== undefined && covers(hold, claims, header)) return 'may'
    }
    return 'never'
  }

  /** Whether something that covers the token may have been lifted. */
  wasLifted(claims: Claims, header: Header): boolean {
    return [...this.#liftedMatches.values()].some((match) => carries(match, claims, header))
  }

  isJtiRevoked(tenant: string, jti: string): boolean {
    return this.#revokedJtis.has(`${tenant} ${jti}`)
  }

  /** Takes one executed change with the script's answer. Returns what is wrong with the answer, if anything. */
  apply(
    tenant: string,
    asked: Change,
    answer: string,
    shard: string,
    sec: number,
    at: number,
  ): string | undefined {
    if (answer.startsWith('!') || answer === '-') return undefined
    const change = ofTenant(asked, tenant)
    const words = answer.split(' ')
    switch (change['op']) {
      case 'revoke':
        return this.#revoke(change, `${tenant} ${words[1]}`, String(words[2]), sec, at)
      case 'hold':
        return this.#hold(change, [`${tenant} ${words[1]}`, ...words.slice(2)], at)
      case 'outcome':
        return this.#outcome(
          change,
          `${tenant} r${shard}-${String(words[1]).split('.')[0]}-${words[0]}`,
          at,
        )
      case 'release':
        this.#endHold(String(change['m']))
        return undefined
      case 'restore':
        this.#restore(change)
        return undefined
      default:
        return undefined
    }
  }

  #revoke(change: Change, id: string, said: string, sec: number, at: number): string | undefined {
    const key = String(change['m'])
    const match = JSON.parse(key) as Match
    const { b } = change
    const asked = typeof b === 'number' && b >= 0 ? b : null
    const issuedBefore = b === undefined ? defaultOf(change, sec) : asked
    if (said !== String(issuedBefore)) return `${id} cuts off at ${said} instead of ${issuedBefore}`
    const { x } = change
    const except = typeof x === 'string' ? (JSON.parse(x) as Match) : undefined
    this.#add(key, { id, match, issuedBefore, except, at })
    return undefined
  }

  #add(key: string, cutoff: KnownCutoff): void {
    const rule = this.#rules.get(key) ?? { cutoffs: [] }
    this.made.set(cutoff.id, cutoff)
    if (rule.cutoffs.some(({ id }) => id === cutoff.id)) return
    this.#rules.set(key, { ...rule, cutoffs: [...rule.cutoffs, cutoff] })
    const { tnt, jti } = cutoff.match
    if (typeof jti === 'string') this.#revokedJtis.add(`${String(tnt)} ${jti}`)
  }

  #hold(change: Change, words: readonly string[], at: number): string | undefined {
    const key = String(change['m'])
    const rule = this.#rules.get(key) ?? { cutoffs: [] }
    const known = rule.hold
    const [id = ''] = words
    const hold: KnownHold = {
      id,
      match: JSON.parse(key) as Match,
      reviewBy: Math.max(Number(change['rb']), known?.reviewBy ?? 0),
      outcome: known?.outcome === 'revoke' || change['o'] === 'revoke' ? 'revoke' : 'release',
      at: known?.at ?? at,
    }
    this.made.set(id, hold)
    this.#rules.set(key, { ...rule, hold })
    const said = words.slice(0, 3).join(' ')
    const expected = `${known?.id ?? id} ${hold.reviewBy} ${hold.outcome}`
    return said === expected ? undefined : `a hold is ${said} instead of ${expected}`
  }

  #outcome(change: Change, place: string, at: number): string | undefined {
    const key = String(change['m'])
    const hold = this.#rules.get(key)?.hold
    if (hold === undefined) return `the outcome of a hold that there is not: ${key}`
    this.#endHold(key)
    if (hold.outcome === 'release') return undefined
    const issuedBefore = defaultOf(change, hold.reviewBy)
    const { cutoffs = [] } = this.#rules.get(key) ?? {}
    const stands = cutoffs.some((each) => each.issuedBefore === issuedBefore && !each.except)
    if (!stands) this.#add(key, { id: place, match: hold.match, issuedBefore, at })
    return undefined
  }

  /** A hold that ends takes with it whatever earlier terms held of the match. */
  #endHold(key: string): void {
    this.#liftedMatches.set(key, JSON.parse(key) as Match)
    const rule = this.#rules.get(key)
    if (rule?.hold !== undefined) {
      this.#lifted.add(rule.hold.id)
      this.#rules.set(key, { cutoffs: rule.cutoffs })
    }
    for (const [id, ghost] of this.#ghosts) {
      if ('reviewBy' in ghost && matchKey(ghost.match) === key) this.#ghosts.delete(id)
    }
  }

  #restore({ m, id }: { readonly m?: string; readonly id?: string }): void {
    for (const [key, rule] of this.#rules) {
      if (m !== undefined && key !== m) continue
      if (m === undefined && rule.hold?.id === id) return this.#endHold(key)
      const gone = rule.cutoffs.filter((each) => m !== undefined || each.id === id)
      for (const each of gone) this.#lifted.add(each.id)
      if (gone.length > 0) this.#liftedMatches.set(key, JSON.parse(key) as Match)
      this.#rules.set(key, {
        ...rule,
        cutoffs: rule.cutoffs.filter((each) => !gone.includes(each)),
      })
    }
    if (m === undefined) return undefined
    this.#liftedMatches.set(m, JSON.parse(m) as Match)
    for (const [ghostId, ghost] of this.#ghosts) {
      if (!('reviewBy' in ghost) && matchKey(ghost.match) === m) this.#ghosts.delete(ghostId)
    }
  }
}

/** A match is held to be of its tenant, as the claim `tnt` of the tokens says it; an id is one tenant's. */
function ofTenant(change: Change, tenant: string): Change {
  const { m, id } = change
  return {
    ...change,
    ...(typeof m === 'string' && { m: matchKey({ ...(JSON.parse(m) as Match), tnt: tenant }) }),
    ...(typeof id === 'string' && { id: `${tenant} ${id}` }),
  }
}

function defaultOf({ t, ttl, skew }: Change, base: number): number | null {
  if (t === 'sid') return base + Number(ttl)
  return t === 'other' ? base + Number(skew) : null
}

export function covers(each: KnownCutoff | KnownHold, claims: Claims, header: Header): boolean {
  if (!carries(each.match, claims, header)) return false
  if ('reviewBy' in each) return true
  const { issuedBefore, except } = each
  if (issuedBefore !== null && Number(claims['iat']) > issuedBefore) return false
  return except === undefined || !carries(except, claims, header)
}
