import { KnellError } from '../domain/errors.ts'
import { shardOfJti } from '../domain/shard.ts'
import { GroupCommit } from './group-commit.ts'
import type { StoredEntry } from './rule-commit.ts'
import type { Store } from './store.ts'

/** A token to be announced when it expires. */
export interface TokenRecord {
  readonly jti: string
  /** NumericDate; rounded up to the whole second at which the token is dead. */
  readonly exp: number
  readonly sub?: string
  readonly sid?: string
  readonly client_id?: string
}

export interface DrainResult {
  readonly word: 'ok' | 'early' | 'paused'
  readonly cursor: string
  /** Tokens still in the second. */
  readonly left: number
  readonly announced: number
  readonly revoked: number
  readonly entries: readonly StoredEntry[]
}

const MAX_GROUP = 500

/** The wheel of all tenants. */
export class TokenStore {
  readonly #store: Store
  readonly #groups = new Map<string, GroupCommit<TokenRecord, boolean>>()

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * Puts a token on the wheel; the same (`jti`, `exp`) again changes nothing.
   * @throws KnellError `token_expired` where the store's clock has passed `exp`; `store_*`
   */
  async register(tenant: string, token: TokenRecord): Promise<void> {
    const shard = shardOfJti(token.jti, this.#store.shards)
    const key = `${tenant}.${shard}`
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = new GroupCommit({
        maxItems: MAX_GROUP,
        write: (tokens) => this.#write(tenant, shard, tokens),
      })
      this.#groups.set(key, group)
    }
    if (!(await group.add(token))) {
      throw new KnellError(
        'token_expired',
        'The token has expired by the store’s clock, so nothing is left to announce.',
      )
    }
  }

  async #write(tenant: string, shard: number, tokens: readonly TokenRecord[]): Promise<boolean[]> {
    const keys = this.#store.keys.shard(tenant, shard)
    const numbers = new Map<number, number>()
    const fields: (string | number)[] = []
    for (const token of tokens) {
      const second = Math.ceil(token.exp)
      let number = numbers.get(second)
      if (number === undefined) {
        number = numbers.size + 1
        numbers.set(second, number)
      }
      fields.push(number, inside(token.jti), valueOf(token))
    }
    const seconds = [...numbers.keys()]
    const [, ...expired] = await this.#store.run(
      'register',
      [keys.meta, keys.wheel, ...seconds.map((second) => keys.second(second))],
      [seconds.length, ...seconds, ...fields],
    )
    const late = new Set(expired.map(Number))
    return tokens.map((_, i) => !late.has(i))
  }

  /** The store's time (ms), how many entries of this shard are unsent, and up to `limit` seconds that were due `graceMs` ago. */
  async due(
    tenant: string,
    shard: number,
    graceMs: number,
    limit = 100,
  ): Promise<{ at: number; unsent: number; seconds: number[] }> {
    const keys = this.#store.keys.shard(tenant, shard)
    const [at, unsent, ...seconds] = await this.#store.run(
      'due',
      [keys.meta, keys.wheel, keys.unsent.expiries],
      [graceMs, limit],
    )
    return { at: Number(at), unsent: Number(unsent), seconds: seconds.map(Number) }
  }

  /** Moves one batch of a due second from the wheel into the feed. */
  async drain(
    tenant: string,
    shard: number,
    second: number,
    cursor: string,
    backlogMax: number,
    batch = 2000,
  ): Promise<DrainResult> {
    const keys = this.#store.keys.shard(tenant, shard)
    const names = [
      keys.meta,
      keys.wheel,
      keys.second(second),
      keys.rules,
      keys.feed.expiries,
      keys.unsent.expiries,
    ]
    const reply = await this.#store.run('drain', names, [
      tenant,
      shard,
      second,
      cursor,
      batch,
      backlogMax,
    ])
    const [word, , next, left, announced, revoked, epoch] = reply
    const term = Number(String(epoch).split('.')[0])
    const entries: StoredEntry[] = []
    for (let i = 7; i + 1 < reply.length; i += 2) {
      const position = { term, seq: Number(reply[i]) }
      entries.push({ tenant, log: 'expiries', shard, position, body: String(reply[i + 1]) })
    }
    return {
      word: word as DrainResult['word'],
      cursor: String(next),
      left: Number(left),
      announced: Number(announced),
      revoked: Number(revoked),
      entries,
    }
  }
}

/** The inside of a JSON string, so that the script can splice it without encoding. */
function inside(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/** JSON escapes line feeds, so a bare one parts the claims. */
function valueOf(token: TokenRecord): string {
  return `${inside(token.sub ?? '')}\n${inside(token.sid ?? '')}\n${inside(token.client_id ?? '')}`
}
