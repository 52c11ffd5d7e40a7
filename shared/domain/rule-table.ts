import { audiencesOf, shapeOf, type Claims, type Header, type Match } from './claims.ts'
import type { RuleSource } from './decision.ts'
import { PackedJtis } from './packed-jtis.ts'
import { JTI_LENGTH, ruleOfRun, type PlainRun } from './plain-run.ts'
import { comparePositions, type Position } from './position.ts'
import { reasons, type Reason } from './reasons.ts'
import {
  addVersion,
  effectOf,
  isLive,
  verdictOf,
  withoutDead,
  type Effect,
  type Rule,
  type RuleVersion,
} from './rule.ts'

/** All rules of one match, as versions of one term each, and what they amount to. */
interface Row {
  versions: readonly RuleVersion[]
  effect: Effect
  live: boolean
}

/** All rules whose matches name the same claims. */
interface Shape {
  readonly names: readonly string[]
  readonly rows: Map<unknown, Row>
  live: number
  /** Only where `kid` is among the names: the other claims, and how many live rules have which values of them. */
  readonly others:
    { readonly names: readonly string[]; readonly live: Map<unknown, number> } | undefined
}

const MAX_TERMS = 16
const MAX_PACKED_UNTIL = 2 ** 32 - 256
const JTI = 'jti'

/**
 * Every rule of one tenant, held for look-up by claims: one look-up per distinct set of claim
 * names that a live rule uses. Plain revocations of a uuid `jti`, by far the most, are packed.
 * The content depends only on the set of versions ever put in, not on their order.
 */
export class RuleTable implements RuleSource {
  readonly #shapes = new Map<string, Shape>()
  /** The shapes with at least one live rule: what a check walks. */
  #liveShapes: readonly Shape[] = []
  readonly #packed: PackedJtis
  readonly #packs: boolean
  readonly #terms: number[] = []
  #pruning: Iterator<[Shape, unknown, Row]> | undefined

  /** `packed: false` keeps every rule as it came: for a few rules that are asked once. */
  constructor(options: { seed?: number; packed?: boolean } = {}) {
    this.#packed = new PackedJtis(options)
    this.#packs = options.packed !== false
  }

  get size(): number {
    let size = this.#packed.size
    for (const shape of this.#shapes.values()) size += shape.rows.size
    return size
  }

  get packedBytes(): number {
    return this.#packed.bytes
  }

  /** From now on new rules are put in several times faster, and packed less tightly, until `tighten`. */
  loosen(): void {
    this.#packed.loosen()
  }

  /** Ends that, going through about `limit` rules. Returns whether it is done; else it is to be called again. */
  tighten(limit: number): boolean {
    return this.#packed.tighten(limit)
  }

  /** Puts in one version of a rule. Returns whether it was new. */
  put(shard: number, position: Position, rule: Rule): boolean {
    const jti = jtiOf(rule.match)
    const record = jti === undefined ? -1 : this.#packed.find(jti)
    if (jti !== undefined) {
      const packed = record === -1 ? undefined : this.#unpack(shard, jti, record)
      const term = this.#termIndex(position.term)
      const sameTerm = packed?.position.term === position.term
      if (sameTerm && packed.position.seq >= position.seq) return false
      const alone = packed === undefined ? !this.#hasRow(jti) : sameTerm
      if (this.#packs && alone && term !== undefined && isPlain(rule, shard, position)) {
        const reason = reasons.indexOf(rule.reason ?? 'other')
        if (this.#packed.set(jti, rule.until ?? 0, reason, term, position.seq)) return true
      }
      if (packed !== undefined) {
        this.#packed.delete(jti)
        this.#put(packed.rule.match, packed)
      }
    }
    return this.#put(rule.match, { position, rule })
  }

  /**
   * Puts in every rule of a run, as `put` would. Calls `onNew` with the place in the run of each that was new.
   */
  putRun(run: PlainRun, onNew: (at: number) => void): void {
    const { shard, jtis, seqs, untils } = run
    const reason = reasons.indexOf(run.reason)
    const term = this.#packs && run.term > 0 ? this.#termIndex(run.term) : undefined
    for (let at = 0; at < seqs.length; at++) {
      const [seq, until] = [seqs[at] as number, untils[at] as number]
      const from = at * JTI_LENGTH
      const mayAdd = seq < 2 ** 32 && until < MAX_PACKED_UNTIL
      const isAlone = !this.#hasRows() || !this.#hasRow(jtis.slice(from, from + JTI_LENGTH))
      if (
        term !== undefined &&
        mayAdd &&
        isAlone &&
        this.#packed.add(jtis, from, until, reason, term, seq)
      ) {
        onNew(at)
        continue
      }
      const { position, rule } = ruleOfRun(run, at)
      if (this.put(shard, position, rule)) onNew(at)
    }
  }

  /** Whether the rule of any `jti` alone is held unpacked. */
  #hasRows(): boolean {
    return (this.#shapes.get(JTI)?.rows.size ?? 0) > 0
  }

  #hasRow(jti: string): boolean {
    return this.#shapes.get(JTI)?.rows.has(jti) ?? false
  }

  #termIndex(term: number): number | undefined {
    const found = this.#terms.indexOf(term)
    if (found !== -1) return found
    if (this.#terms.length === MAX_TERMS) return undefined
    return this.#terms.push(term) - 1
  }

  #unpack(shard: number, jti: string, record: number): RuleVersion {
    const packed = this.#packed.read(record)
    const position = { term: this.#terms[packed.termIndex] ?? 0, seq: packed.seq }
    const reason = reasons[packed.reason] ?? 'other'
    const id = plainIdPrefix(shard, position)
    const cutoffs = [{ id, issuedBefore: null }]
    return { position, rule: { match: { jti }, cutoffs, until: packed.until, reason } }
  }

  #put(match: Match, version: RuleVersion): boolean {
    const name = shapeOf(match)
    let shape = this.#shapes.get(name)
    if (shape === undefined) {
      const names = name === '' ? [] : name.split(',')
      const others = names.includes('kid')
        ? { names: names.filter((each) => each !== 'kid'), live: new Map<unknown, number>() }
        : undefined
      shape = { names, rows: new Map(), live: 0, others }
      this.#shapes.set(name, shape)
    }
    const key = rowKey(shape.names, match)
    const row = shape.rows.get(key)
    const versions = addVersion(row?.versions ?? [], version)
    if (versions === row?.versions) return false
    const effect = effectOf(versions)
    const live = isLive(effect)
    shape.rows.set(key, { versions, effect, live })
    this.#count(shape, match, Number(live) - Number(row?.live ?? false))
    return true
  }

  #count(shape: Shape, match: Match, change: number): void {
    if (shape.others !== undefined && change !== 0) {
      const { names, live } = shape.others
      const key = rowKey(names, match)
      const left = (live.get(key) ?? 0) + change
      if (left > 0) live.set(key, left)
      else live.delete(key)
    }
    const before = shape.live
    shape.live += change
    if (before > 0 === shape.live > 0) return
    // In a fixed order, so that of several reasons the same one is told wherever the rules came from.
    this.#liveShapes = [...this.#shapes.values()].filter((each) => each.live > 0).sort(mostTelling)
  }

  verdict(
    claims: Claims,
    header: Header | undefined,
  ): { code: 'revoked' | 'held' | 'header_needed'; reason?: Reason } | undefined {
    const { jti } = claims
    if (typeof jti === 'string' && this.#packed.size > 0) {
      const record = this.#packed.find(jti)
      if (record !== -1) {
        return { code: 'revoked', reason: reasons[this.#packed.reason(record)] ?? 'other' }
      }
    }
    let mildest: { code: 'held' | 'header_needed'; reason?: Reason } | undefined
    for (const shape of this.#liveShapes) {
      if (header === undefined && shape.others !== undefined) {
        // The header decides only for a token that carries the other claims of such a rule.
        const { names, live } = shape.others
        if (keysOf(names, claims, header).some((key) => live.has(key))) {
          mildest ??= { code: 'header_needed' }
        }
        continue
      }
      for (const key of keysOf(shape.names, claims, header)) {
        const row = shape.rows.get(key)
        const verdict = row && verdictOf(row.effect, claims, header)
        if (verdict?.code === 'revoked') return { ...verdict, code: 'revoked' }
        if (verdict !== undefined) mildest = { ...verdict, code: 'held' }
      }
    }
    return mildest
  }

  /** What the versions of one match amount to, or undefined where none is known. */
  effect(shard: number, match: Match): Effect | undefined {
    const jti = jtiOf(match)
    const record = jti === undefined ? -1 : this.#packed.find(jti)
    if (jti !== undefined && record !== -1) return effectOf([this.#unpack(shard, jti, record)])
    const shape = this.#shapes.get(shapeOf(match))
    return shape?.rows.get(rowKey(shape.names, match))?.effect
  }

  /** Drops rules whose `until` lies before `now` (NumericDate), looking at up to `limit` of each kind. */
  prune(now: number, limit: number): number {
    let { removed } = this.#packed.prune(now, limit)
    this.#pruning ??= this.#walk()
    for (let looked = 0; looked < limit; looked++) {
      const next = this.#pruning.next()
      if (next.done === true) {
        this.#pruning = undefined
        break
      }
      const [shape, key, row] = next.value
      if (row.effect.until === null || row.effect.until >= now) {
        this.#thin(shape, key, row, now)
        continue
      }
      shape.rows.delete(key)
      const [first] = row.versions
      if (first !== undefined) this.#count(shape, first.rule.match, row.live ? -1 : 0)
      removed += 1
    }
    return removed
  }

  #thin(shape: Shape, key: unknown, row: Row, now: number): void {
    const versions = withoutDead(row.versions, now)
    const [first] = versions
    if (versions === row.versions || first === undefined) return
    const effect = effectOf(versions)
    const live = isLive(effect)
    shape.rows.set(key, { versions, effect, live })
    this.#count(shape, first.rule.match, Number(live) - Number(row.live))
  }

  *#walk(): Generator<[Shape, unknown, Row]> {
    for (const shape of this.#shapes.values()) {
      for (const [key, row] of shape.rows) yield [shape, key, row]
    }
  }
}

/** The token's own rule first, as the packed ones are, then the narrower ones. */
function mostTelling(a: Shape, b: Shape): number {
  const rank = ({ names }: Shape): string =>
    `${names.length === 1 && names[0] === JTI ? 0 : 4 - names.length} ${names.join(',')}`
  return rank(a) < rank(b) ? -1 : 1
}

function jtiOf(match: Match): string | undefined {
  const { jti } = match
  return typeof jti === 'string' && Object.keys(match).length === 1 ? jti : undefined
}

/** Ids of cut-offs are made of the place they were committed at: `r<shard>-<term>-<seq>-<index>`. */
function plainIdPrefix(shard: number, position: Position): string {
  return `r${shard}-${position.term}-${position.seq}-`
}

/** Whether a rule says no more than "dead", so that a packed record says it all. */
function isPlain(rule: Rule, shard: number, position: Position): boolean {
  const cutoff = rule.cutoffs?.[0]
  return (
    rule.cutoffs?.length === 1 &&
    cutoff !== undefined &&
    cutoff.issuedBefore === null &&
    cutoff.except === undefined &&
    rule.held !== true &&
    rule.lifted === undefined &&
    rule.liftedBefore === undefined &&
    rule.releasedBefore === undefined &&
    rule.until !== null &&
    rule.until < MAX_PACKED_UNTIL &&
    position.seq < 2 ** 32 &&
    comparePositions(position, { term: 0, seq: 0 }) > 0 &&
    cutoff.id.startsWith(plainIdPrefix(shard, position)) &&
    PackedJtis.fits(rule.match['jti'] as string)
  )
}

/** One claim is looked up by its bare value: a Map tells 5 from "5". Several make one JSON text. */
function rowKey(names: readonly string[], match: Match): unknown {
  if (names.length === 1) return match[names[0] as string]
  let key = ''
  for (const name of names) key += `${JSON.stringify(match[name])},`
  return key
}

/** The row keys under which a rule of this shape would cover the token: several only where it has several audiences. */
function keysOf(
  names: readonly string[],
  claims: Claims,
  header: Header | undefined,
): readonly unknown[] {
  const [first] = names
  if (names.length === 1 && first !== 'aud') {
    const value = first === 'kid' ? header?.['kid'] : claims[first as string]
    return value === undefined ? [] : [value]
  }
  let keys: string[] | undefined
  if (names.length === 1) return audiencesOf(claims)
  keys = ['']
  for (const name of names) {
    const values =
      name === 'aud' ? audiencesOf(claims) : [name === 'kid' ? header?.['kid'] : claims[name]]
    keys = keys.flatMap((key) =>
      values.flatMap((value) => (value === undefined ? [] : [`${key}${JSON.stringify(value)},`])),
    )
  }
  return keys
}
