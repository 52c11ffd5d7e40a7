import { Chains, CHAIN_WORDS, NONE } from './chains.ts'
import type { Claims, Header, Match } from './claims.ts'
import { DUE_WORDS, DueRows } from './due-rows.ts'
import { PackedClaims, type Token } from './packed-claims.ts'
import { WordRows } from './word-rows.ts'

export { NONE } from './chains.ts'

/** The claims by which a rule finds its tokens, the most telling first. */
const CHAINED = ['jti', 'sid', 'sub'] as const

const DUE = CHAINED.length * CHAIN_WORDS
const STATE = DUE + DUE_WORDS
const WIDTH = STATE + 1

/** A table that was never larger keeps its memory, since a token may come and go with each request. */
const WORTH_GIVING_BACK = 1024
/** A rule that names a value which more tokens than this share counts as one that concerns all. */
const MAX_NAMED = 10_000

/** Bits of a row's state: it is queued; it is in the first, second, ... chain. */
const QUEUED = 1
const CHAINED_FROM = 1

/**
 * Tokens that somebody waits for to die, each with a target that is the caller's own. It answers
 * one question: which of them must be judged again, because of a rule or because their time has
 * come? It never judges: a token that is taken from the queue may well live on.
 *
 * A rule that names a `jti`, `sid` or `sub` finds its tokens by it. For any other, all are gone
 * through, once for however many such rules come meanwhile; so they are for one that very many share.
 */
export class LiveTokens<T> {
  readonly #seed: number
  readonly #packed = new PackedClaims()
  readonly #rows = new WordRows(WIDTH)
  readonly #chains: readonly Chains[]
  readonly #due: DueRows
  #texts: (string | undefined)[] = []
  #targets: (T | undefined)[] = []
  #free: number[] = []
  #size = 0
  #queue: number[] = []
  #queueAt = 0
  /** Where the pass over all rows stands, and how many rows it has still to see. */
  #passAt = 0
  #passLeft = 0

  /** `seed`: any number, kept secret from whoever chooses claims; absent: a random one. */
  constructor(options: { seed?: number } = {}) {
    this.#seed = options.seed ?? Math.floor(Math.random() * 2 ** 32)
    this.#chains = CHAINED.map((_, i) => new Chains(this.#rows, i * CHAIN_WORDS))
    this.#due = new DueRows(this.#rows, DUE)
  }

  get size(): number {
    return this.#size
  }

  /** Bytes of the typed arrays. */
  get bytes(): number {
    return this.#chains.reduce((sum, chain) => sum + chain.bytes, this.#rows.bytes)
  }

  /** The earliest whole second (NumericDate) at which a token may be due. */
  get nextDue(): number | undefined {
    return this.#due.first
  }

  /** What is held of a token, as one text: tokens with the same text die the same death. */
  pack(claims: Claims, header: Header | undefined): string {
    return this.#packed.pack(claims, header)
  }

  /** The row of the token with this text, or `NONE`. */
  find(text: string, claims: Claims): number {
    const [chain] = this.#chains as [Chains]
    let row = chain.first(this.#identity(text, claims))
    while (row !== NONE && this.#texts[row] !== text) row = chain.after(row)
    return row
  }

  /** A token is known by its `jti`, one without by all that is held of it. */
  #identity(text: string, { jti }: Claims): number {
    return this.#hash(isChained(jti) ? jti : text)
  }

  /** Adds a token whose text `find` does not find. */
  add(text: string, claims: Claims, target: T): number {
    const row = this.#free.pop() ?? this.#texts.length
    // A pass that goes on from the beginning must see as many rows more.
    if (row === this.#texts.length && this.#passLeft > 0) this.#passLeft += 1
    this.#rows.reserve(row + 1)
    this.#texts[row] = text
    this.#targets[row] = target
    let state = 0
    for (const [i, name] of CHAINED.entries()) {
      const value = claims[name]
      if (i > 0 && !isChained(value)) continue
      const hash = i === 0 ? this.#identity(text, claims) : this.#hash(value)
      this.#chains[i]?.insert(row, hash)
      state |= 1 << (CHAINED_FROM + i)
    }
    this.#rows.set(row, STATE, state)
    this.#due.add(row, dueOf(claims))
    this.#size += 1
    return row
  }

  /** A token that was taken to be judged lives on. The clock may have gone back, so that its time is yet to come. */
  keep(row: number, claims: Claims): void {
    if (!this.#due.has(row)) this.#due.add(row, dueOf(claims))
  }

  read(row: number): Token {
    return this.#packed.unpack(this.#texts[row] as string)
  }

  target(row: number): T | undefined {
    return this.#targets[row]
  }

  setTarget(row: number, target: T): void {
    this.#targets[row] = target
  }

  remove(row: number): void {
    if (this.#texts[row] === undefined) return
    const state = this.#rows.get(row, STATE)
    for (const [i, chain] of this.#chains.entries()) {
      if ((state & (1 << (CHAINED_FROM + i))) !== 0) chain.remove(row)
    }
    this.#due.remove(row)
    this.#rows.set(row, STATE, 0)
    this.#texts[row] = undefined
    this.#targets[row] = undefined
    this.#size -= 1
    if (this.#size === 0 && this.#texts.length > WORTH_GIVING_BACK) this.clear()
    else this.#free.push(row)
  }

  /** A rule of this match has changed for the worse: the tokens that it may cover are to be judged. */
  queueMatch(match: Match): void {
    for (const [i, name] of CHAINED.entries()) {
      const value = match[name]
      if (value === undefined) continue
      const chain = this.#chains[i] as Chains
      let row = chain.first(this.#hash(value))
      for (let count = 0; row !== NONE && count < MAX_NAMED; count++) {
        this.#enqueue(row)
        row = chain.after(row)
      }
      if (row !== NONE) this.queueAll()
      return
    }
    this.queueAll()
  }

  /** All tokens are to be judged, each once from now on. */
  queueAll(): void {
    this.#passLeft = this.#texts.length
  }

  /** Tokens whose `exp` has come at `now` (NumericDate) are to be judged. */
  queueDue(now: number): void {
    this.#due.take(now, (row) => this.#enqueue(row))
  }

  #enqueue(row: number): void {
    const state = this.#rows.get(row, STATE)
    if ((state & QUEUED) !== 0) return
    this.#rows.set(row, STATE, state | QUEUED)
    this.#queue.push(row)
  }

  /** Whether a pass over all tokens is under way. */
  get isPassing(): boolean {
    return this.#passLeft > 0
  }

  /** The next token that a rule has named or whose time has come, or `NONE`. */
  takeQueued(): number {
    while (this.#queueAt < this.#queue.length) {
      const row = this.#queue[this.#queueAt] as number
      this.#queueAt += 1
      const state = this.#rows.get(row, STATE)
      // It may have gone meanwhile, and the row may belong to another, which was judged when it came.
      if ((state & QUEUED) === 0) continue
      this.#rows.set(row, STATE, state & ~QUEUED)
      return row
    }
    this.#queue = []
    this.#queueAt = 0
    return NONE
  }

  /** The next token of the pass over all, or `NONE` where it has ended. */
  takePassed(): number {
    while (this.#passLeft > 0) {
      if (this.#passAt >= this.#texts.length) this.#passAt = 0
      const row = this.#passAt
      this.#passAt += 1
      this.#passLeft -= 1
      if (this.#texts[row] !== undefined) return row
    }
    return NONE
  }

  /** Calls `fn` for every target. It must change nothing here. */
  forEach(fn: (target: T, row: number) => void): void {
    for (const [row, target] of this.#targets.entries()) if (target !== undefined) fn(target, row)
  }

  /** Forgets every token and gives the memory back. */
  clear(): void {
    for (const chain of this.#chains) chain.clear()
    this.#due.clear()
    this.#rows.clear()
    this.#texts = []
    this.#targets = []
    this.#free = []
    this.#size = 0
    this.#queue = []
    this.#queueAt = 0
    this.#passAt = 0
    this.#passLeft = 0
  }

  /** FNV-1a over the UTF-16 code units, begun with the seed. 5 and "5" have the same, which only costs a judgement. */
  #hash(value: unknown): number {
    const text = String(value)
    let hash = this.#seed ^ 0x811c9dc5
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    // The lowest bits choose the bucket, and FNV mixes upwards only.
    return hash ^ (hash >>> 15)
  }
}

function dueOf({ exp }: Claims): number | undefined {
  return typeof exp === 'number' ? exp : undefined
}

function isChained(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
