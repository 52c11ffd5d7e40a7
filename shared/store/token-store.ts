import { KnellError } from '../domain/errors.ts'
import { shardOfJti } from '../domain/shard.ts'
import { DEFAULT_TENANT } from '../domain/tenant.ts'
import { GroupCommit } from './group-commit.ts'
import { readEntries, type StoredEntry } from './rule-commit.ts'
import type { Store } from './store.ts'
import { thisMoment } from '../process/this-moment.ts'

/** A token to be announced when it expires. */
export interface TokenRecord {
  readonly jti: string
  /** NumericDate; rounded up to the whole second at which the token is dead. */
  readonly exp: number
  readonly sub?: string
  readonly sid?: string
  readonly client_id?: string
}

/** How a tenant's tokens are kept. */
export interface WheelSettings {
  /** How long before `exp` to announce a token, in seconds, ascending. Empty: not at all. */
  readonly leadSeconds: readonly number[]
  /** The most tokens on the wheel; each shard takes an equal part of them, rounded up. */
  readonly maxTokens: number
}

export interface DrainResult {
  readonly word: 'ok' | 'early' | 'paused'
  readonly cursor: string
  /** Tokens still in the second. */
  readonly left: number
  /** Announced as expired. */
  readonly announced: number
  /** Announced as expiring; they are still on the wheel. */
  readonly expiring: number
  /** Passed over at their `exp`, since they were revoked. */
  readonly revoked: number
  readonly entries: readonly StoredEntry[]
}

const MAX_GROUP = 500
/**
 * So many tokens are drained by one script: about as many as one entry holds. While it runs nobody
 * else is served, so a commit that comes in the midst of very many due tokens waits for this long.
 */
const DRAIN_BATCH = 400
/** A script answers all lead times that are in use, so two tries do where nobody else adds one. */
const MAX_TRIES = 10

type Refusal = 'token_expired' | 'quota_exceeded'

/** The wheel of all tenants. */
export class TokenStore {
  readonly #store: Store
  readonly #settingsOf: (tenant: string) => WheelSettings
  readonly #groups = new Map<string, GroupCommit<TokenRecord, Refusal | undefined>>()
  /** Per shard the lead times that tokens may lie at, as far as is known. */
  readonly #leadsInUse = new Map<string, readonly number[]>()

  constructor(
    store: Store,
    settingsOf: (tenant: string) => WheelSettings = () => ({
      leadSeconds: [],
      maxTokens: Infinity,
    }),
  ) {
    this.#store = store
    this.#settingsOf = settingsOf
  }

  /**
   * Puts a token on the wheel; the same (`jti`, `exp`) again changes nothing.
   * @throws KnellError `token_expired` where the store's clock has passed `exp`; `quota_exceeded`
   *   where the tenant has too many tokens on the wheel; `store_*`
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
    const refusal = await group.add(token)
    if (refusal === 'token_expired') {
      throw new KnellError(
        refusal,
        'The token has expired by the store’s clock, so nothing is left to announce.',
      )
    }
    if (refusal === 'quota_exceeded') {
      const { maxTokens } = this.#settingsOf(tenant)
      throw new KnellError(
        refusal,
        `Tenant "${tenant}" has as many tokens registered as it may have (${maxTokens} over all shards); wait until some have expired, or raise maxTokens (MAX_TOKENS).`,
      )
    }
  }

  async #write(
    tenant: string,
    shard: number,
    tokens: readonly TokenRecord[],
  ): Promise<(Refusal | undefined)[]> {
    const keys = this.#store.keys.shard(tenant, shard)
    const { leadSeconds, maxTokens } = this.#settingsOf(tenant)
    const most = Math.min(Math.ceil(maxTokens / this.#store.shards), Number.MAX_SAFE_INTEGER)
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const declared = this.#leads(keys.meta, leadSeconds)
      const numbers = new Map<number, number>()
      const numberOf = (second: number): number => {
        const number = numbers.get(second) ?? numbers.size + 1
        numbers.set(second, number)
        return number
      }
      const fields: (string | number)[] = []
      for (const token of tokens) {
        const second = Math.ceil(token.exp)
        fields.push(numberOf(second), inside(token.jti), valueOf(token))
        for (const lead of declared) numberOf(second - lead)
      }
      const seconds = [...numbers.keys()]
      const [word, , inUse, ...refused] = await this.#store.run(
        'register',
        [keys.meta, keys.wheel, ...seconds.map((second) => keys.second(second))],
        [most, leadSeconds.join(), declared.join(), seconds.length, ...seconds, ...fields],
      )
      this.#leadsInUse.set(keys.meta, readLeads(inUse))
      if (word === 'leads') continue
      const refusals = new Map(refused.map((one) => readRefusal(String(one))))
      return tokens.map((_, i) => refusals.get(i))
    }
    throw new KnellError('internal', 'The lead times in use change all the time.')
  }

  /** Whether a token of this `jti` and `exp` was registered, and its expiry not announced yet. @throws KnellError `store_*` */
  async isRegistered(tenant: string, jti: string, exp: number): Promise<boolean> {
    const keys = this.#store.keys.shard(tenant, shardOfJti(jti, this.#store.shards))
    const { leadSeconds } = this.#settingsOf(tenant)
    const second = Math.ceil(exp)
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const declared = this.#leads(keys.meta, leadSeconds)
      const seconds = [second, ...declared.map((lead) => second - lead)]
      const [word, , inUse] = await this.#store.run(
        'findToken',
        [keys.meta, ...seconds.map((each) => keys.second(each))],
        [inside(jti), second, declared.join()],
      )
      this.#leadsInUse.set(keys.meta, readLeads(inUse))
      if (word !== 'leads') return word === 'yes'
    }
    throw new KnellError('internal', 'The lead times in use change all the time.')
  }

  /** The lead times whose seconds a script must be able to reach, ascending. */
  #leads(meta: string, ...more: (readonly number[])[]): readonly number[] {
    const leads = new Set([...(this.#leadsInUse.get(meta) ?? []), ...more.flat()])
    return [...leads].sort((a, b) => a - b)
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

  /** The shards with a second that may be due; the scripts decide by the store's own clock. Plain reads, since with many tenants nearly all have none. */
  async withDue(
    tenants: readonly string[],
    graceMs: number,
  ): Promise<{ tenant: string; shard: number }[]> {
    if (!this.#store.clock.isSet) await this.#store.touch(tenants[0] ?? DEFAULT_TENANT, 0)
    const places = tenants.flatMap((tenant) =>
      Array.from({ length: this.#store.shards }, (_, shard) => ({ tenant, shard })),
    )
    const firsts = await this.#store.readAll(
      places.map(({ tenant, shard }) => [
        'zrange',
        this.#store.keys.shard(tenant, shard).wheel,
        '0',
        '0',
      ]),
    )
    const before = this.#store.clock.latest(thisMoment()) - graceMs
    return places.filter((_, i) => {
      const first = firsts[i]
      return Array.isArray(first) && first.length > 0 && Number(first[0]) * 1000 <= before
    })
  }

  /** Moves one batch of a due second from the wheel into the feed, and what lay at a lead time to its next announcement. */
  async drain(
    tenant: string,
    shard: number,
    second: number,
    cursor: string,
    backlogMax: number,
    batch: number = DRAIN_BATCH,
  ): Promise<DrainResult> {
    const keys = this.#store.keys.shard(tenant, shard)
    const { leadSeconds } = this.#settingsOf(tenant)
    let found: readonly number[] = []
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const declared = this.#leads(keys.meta, leadSeconds, found)
      const targets = targetsOf(second, leadSeconds, declared)
      const reply = await this.#store.run(
        'drain',
        [
          keys.meta,
          keys.wheel,
          keys.second(second),
          keys.rules,
          keys.feed.expiries,
          keys.unsent.expiries,
          ...targets.map((target) => keys.second(target)),
        ],
        [
          tenant,
          shard,
          second,
          cursor,
          batch,
          backlogMax,
          leadSeconds.join(),
          declared.join(),
          ...targets,
        ],
      )
      const [word, , next, left, announced, revoked, epoch, expiring] = reply
      if (word === 'leads') {
        found = [...found, ...readLeads(next)]
        continue
      }
      const place = { tenant, log: 'expiries' as const, shard }
      return {
        word: word as DrainResult['word'],
        cursor: String(next),
        left: Number(left),
        announced: Number(announced),
        expiring: Number(expiring),
        revoked: Number(revoked),
        entries: readEntries(reply.slice(8), String(epoch), place),
      }
    }
    throw new KnellError('internal', 'Tokens lie at lead times that cannot be.')
  }
}

/**
 * The seconds that a token may be put into when `second` is drained: its `exp`, and the
 * announcements between the two. It lies there for a lead time in use, and goes on by those to announce.
 */
function targetsOf(
  second: number,
  leads: readonly number[],
  inUse: readonly number[],
): readonly number[] {
  const targets = new Set<number>()
  for (const lead of inUse) {
    targets.add(second + lead)
    for (const later of leads) if (later < lead) targets.add(second + lead - later)
  }
  return [...targets]
}

/** `<lead>=<second>`, parted by commas. */
function readLeads(text: string | number | undefined): number[] {
  return [...String(text).matchAll(/(\d+)=/g)].map(([, lead]) => Number(lead))
}

/** `e<number>` or `q<number>`. */
function readRefusal(text: string): [number, Refusal] {
  return [Number(text.slice(1)), text.startsWith('q') ? 'quota_exceeded' : 'token_expired']
}

/** The inside of a JSON string, so that the script can splice it without encoding. */
function inside(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/** JSON escapes line feeds, so a bare one parts the claims. */
function valueOf(token: TokenRecord): string {
  return `${inside(token.sub ?? '')}\n${inside(token.sid ?? '')}\n${inside(token.client_id ?? '')}`
}
