import type { Match } from '../domain/claims.ts'
import { shardOfJti } from '../domain/shard.ts'
import type { ShardKeys } from './keys.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'

/** How many registered tokens a change would concern. */
export interface Hits {
  readonly tokens: number
  /** False where the count ended early: then there are at least so many. */
  readonly complete: boolean
  /** True where some of them may be spared by what the wheel does not know. */
  readonly atMost?: true
}

export interface Counted {
  readonly match: Match
  readonly except?: Match | undefined
  /** Only tokens that live on past this NumericDate; absent: all on the wheel. */
  readonly aliveAfter?: number | undefined
}

/** The claims that the wheel knows of a token beside its `jti`, in the order in which its value has them. */
const VALUES = ['sub', 'sid', 'client_id']
const KNOWN = ['jti', ...VALUES]

/** A count ends after so many tokens, or so much time: a caller waits for it. */
const MAX_TOKENS = 500_000
const MAX_MS = 2000
/** Seconds of the wheel that are asked at once, and tokens of one that are read at once. */
const SECONDS = 50
const PAGE = 1000

/**
 * Counts the tokens on the wheel that carry a match, in bounded steps that delay no other call.
 * Undefined where the match names what the wheel does not know. A `jti` that is registered with
 * two `exp` counts twice.
 */
export async function countHits(
  store: Store,
  tenant: string,
  { match, except, aliveAfter }: Counted,
): Promise<Hits | undefined> {
  if (!isKnown(match)) return undefined
  const spares = except === undefined || isKnown(except)
  const bounds = spares ? {} : { atMost: true as const }
  const wanted = wantedOf(match)
  if (wanted === undefined) return { tokens: 0, complete: true }
  const jti = wanted.get('jti')
  const all = Array.from({ length: store.shards }, (_, shard) => shard)
  const shards = jti === undefined ? all : [shardOfJti(String(match['jti']), store.shards)]
  const spared = spares && except !== undefined ? wantedOf(except) : undefined
  const count = new Count(store, { wanted, spared, aliveAfter })
  try {
    for (const shard of shards) {
      const keys = store.keys.shard(tenant, shard)
      if (jti !== undefined) await count.byJti(keys, jti)
      else if (wanted.size > 0 || spared !== undefined || aliveAfter !== undefined) {
        await count.byScan(keys)
      } else await count.byLength(keys)
    }
  } catch (error) {
    throw toStoreError(error)
  }
  return { tokens: count.tokens, complete: count.complete, ...bounds }
}

/** Claims in the form in which the wheel keeps them: the inside of a JSON string. */
type Wanted = ReadonlyMap<string, string>

function isKnown(match: Match): boolean {
  return Object.keys(match).every((name) => KNOWN.includes(name))
}

/** Undefined where a value is no text: then no registered token has it. */
function wantedOf(match: Match): Wanted | undefined {
  const wanted = new Map<string, string>()
  for (const [name, value] of Object.entries(match)) {
    if (typeof value !== 'string') return undefined
    wanted.set(name, JSON.stringify(value).slice(1, -1))
  }
  return wanted
}

/** A field is the `jti` of a token in the second of its `exp`; before that the `jti`, a line feed and the `exp`. */
function splitField(field: string, second: number): { jti: string; exp: number } {
  const end = field.indexOf('\n')
  if (end === -1) return { jti: field, exp: second }
  return { jti: field.slice(0, end), exp: Number(field.slice(end + 1)) }
}

/** One count, with what it may still spend. */
class Count {
  tokens = 0
  complete = true
  readonly #store: Store
  readonly #wanted: Wanted
  readonly #spared: Wanted | undefined
  readonly #aliveAfter: number
  readonly #deadline: number = performance.now() + MAX_MS
  #looked = 0

  constructor(
    store: Store,
    options: { wanted: Wanted; spared: Wanted | undefined; aliveAfter: number | undefined },
  ) {
    this.#store = store
    this.#wanted = options.wanted
    this.#spared = options.spared
    this.#aliveAfter = options.aliveAfter ?? 0
  }

  async byLength(keys: ShardKeys): Promise<void> {
    for await (const seconds of this.#seconds(keys)) {
      const asked = seconds.map((second) => this.#store.redis.hlen(keys.second(second)))
      for (const length of await Promise.all(asked)) this.tokens += length
    }
  }

  /** Asks each second for the fields that a token of this `jti` could have there. */
  async byJti(keys: ShardKeys, jti: string): Promise<void> {
    const leads = [...((await this.#store.redis.hget(keys.meta, 'leads')) ?? '').matchAll(LEAD)]
    for await (const seconds of this.#seconds(keys)) {
      await Promise.all(
        seconds.map(async (second) => {
          const fields = [jti, ...leads.map(([, lead]) => `${jti}\n${second + Number(lead)}`)]
          const values = await this.#store.redis.hmget(keys.second(second), ...fields)
          for (const [i, value] of values.entries()) {
            if (value !== null) this.#take(String(fields[i]), value, second)
          }
        }),
      )
    }
  }

  async byScan(keys: ShardKeys): Promise<void> {
    for await (const seconds of this.#seconds(keys)) {
      const pages = await Promise.all(
        seconds.map((second) => this.#store.redis.hscan(keys.second(second), 0, 'COUNT', PAGE)),
      )
      for (const [i, [next, items]] of pages.entries()) {
        await this.#scanOn(keys, seconds[i] ?? 0, next, items)
      }
    }
  }

  /** A hash that is read in several pages may give a token twice. */
  async #scanOn(
    keys: ShardKeys,
    second: number,
    next: string,
    first: readonly string[],
  ): Promise<void> {
    const seen = next === '0' ? undefined : new Set<string>()
    let items = first
    let cursor = next
    for (;;) {
      for (let i = 0; i + 1 < items.length; i += 2) {
        const field = String(items[i])
        if (seen?.has(field) === true) continue
        seen?.add(field)
        this.#take(field, String(items[i + 1]), second)
      }
      if (cursor === '0' || !this.#mayGoOn()) return
      const page = await this.#store.redis.hscan(keys.second(second), cursor, 'COUNT', PAGE)
      ;[cursor, items] = page
    }
  }

  async *#seconds(keys: ShardKeys): AsyncGenerator<number[]> {
    for (let from = '-inf'; this.#mayGoOn();) {
      const { redis } = this.#store
      const seconds = await redis.zrangebyscore(keys.wheel, from, '+inf', 'LIMIT', 0, SECONDS)
      if (seconds.length === 0) return
      yield seconds.map(Number)
      from = `(${seconds.at(-1)}`
    }
  }

  #mayGoOn(): boolean {
    if (this.#looked < MAX_TOKENS && performance.now() < this.#deadline) return true
    this.complete = false
    return false
  }

  #take(field: string, value: string, second: number): void {
    this.#looked += 1
    const { jti, exp } = splitField(field, second)
    if (exp <= this.#aliveAfter) return
    const texts = value.split('\n')
    const carries = (wanted: Wanted): boolean => {
      for (const [name, text] of wanted) {
        if ((name === 'jti' ? jti : texts[VALUES.indexOf(name)]) !== text) return false
      }
      return true
    }
    if (!carries(this.#wanted)) return
    if (this.#spared !== undefined && carries(this.#spared)) return
    this.tokens += 1
  }
}

/** How `meta` notes a lead time at which tokens of this shard may lie before their `exp`. */
const LEAD = /(\d+)=\d+/g
