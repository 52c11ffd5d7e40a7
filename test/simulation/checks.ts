import type { Cast } from './cast.ts'
import { covers } from './ledger.ts'
import type { ServiceInstance } from './service.ts'
import { MAX_STALENESS_MS, SHARDS } from './settings.ts'
import type { RealRedis } from './real-redis.ts'
import type { SimToken } from './tokens.ts'

/** `asOf` and ages are whole ms. */
const ROUNDING_MS = 2
/** By then the sweep has announced whatever was missed. */
const ANNOUNCED_MS = 15_000

/** A time in which an old primary still took writes. */
export interface Fork {
  readonly from: number
  readonly until: number
}

/** Holds what the services say against what the store has executed. */
export class Checks {
  readonly #cast: Cast
  readonly #tokens: readonly SimToken[]
  readonly forks: Fork[] = []
  /** By service and token: it was refused for a rule. */
  readonly #refused = new Set<string>()
  decisions = 0
  enforced = 0

  constructor(cast: Cast, tokens: readonly SimToken[]) {
    this.#cast = cast
    this.#tokens = tokens
    cast.http.onServed = (call, answer) => {
      if (call.path === '/v1/revocations' && answer.status === 201)
        this.#enforced(call.body ?? '', answer.body)
    }
  }

  /** Asks every service about every token. */
  probe(): void {
    for (const service of this.#cast.livingServices) {
      for (const token of this.#tokens) this.#ask(service, token)
    }
  }

  #ask(service: ServiceInstance, token: SimToken): void {
    const { world, store } = this.#cast
    const { claims, header } = token
    const decision = service.check(token)
    if (decision === undefined) return
    const { code, staleMs } = decision
    this.decisions += 1
    const key = `${service.name} ${claims.tnt} ${claims.jti}`
    if (code === 'active') {
      this.#assertFresh(service, token, staleMs)
      if (this.#refused.has(key) && !this.#mayHaveBeenLifted(token)) {
        world.violated(`${service.name} has forgotten that ${claims.jti} is dead`)
      }
    } else if (code === 'revoked' || code === 'held') {
      this.#refused.add(key)
      const isCovered = [...store.primary.ledger.made.values()].some((each) =>
        covers(each, claims, header),
      )
      if (!isCovered)
        world.violated(
          `${service.name} says that ${claims.jti} is ${code}: no rule ever covered it`,
        )
    } else if (code === 'expired') {
      // By whatever clock of the store, told on from when it was last asked.
      const latest = world.wall + store.mostAheadMs
      if (claims.exp * 1000 > latest + ROUNDING_MS)
        world.violated(`${service.name} says that ${claims.jti} has expired before its exp`)
    }
  }

  #mayHaveBeenLifted({ claims, header }: SimToken): boolean {
    return this.#cast.store.servers.some(({ ledger }) => ledger.wasLifted(claims, header))
  }

  /** Whatever was made before the state that a decision says it rests on must be in it. */
  #assertFresh(service: ServiceInstance, { claims, header }: SimToken, staleMs: number): void {
    const { world, store } = this.#cast
    const since = world.now - staleMs - ROUNDING_MS
    for (const each of store.primary.ledger.inForce()) {
      if (each.at >= since || !covers(each, claims, header)) continue
      if (this.forks.some(({ from, until }) => each.at >= from && since <= until)) continue
      world.violated(
        `${service.name} lets ${claims.jti} in as of ${staleMs} ms ago: ${each.id} is from ${world.now - each.at} ms ago`,
      )
    }
  }

  /** A wait was answered: where it says done, nobody who lives lets such a token in. */
  #enforced(asked: string, answered: string): void {
    const { world, store, livingServices } = this.#cast
    const { id, enforced } = JSON.parse(answered) as { id: string; enforced?: { done: boolean } }
    if (enforced?.done !== true) return
    // An instance that is cut off then counts as silent for longer than it was, and need not be waited for.
    if (world.now - store.jumpedAt < MAX_STALENESS_MS) return
    const { tenant } = JSON.parse(asked) as { tenant: string }
    const named = `${tenant} ${id}`
    const made = [...store.primary.ledger.inForce()].find((each) => each.id === named)
    if (made === undefined) return
    this.enforced += 1
    for (const service of livingServices) {
      for (const token of this.#tokens) {
        const { claims, header } = token
        if (!covers(made, claims, header)) continue
        if (service.check(token)?.active === true) {
          world.violated(
            `${asked} is said to be enforced, and ${service.name} lets ${claims.jti} in`,
          )
        }
      }
    }
  }

  /** What is not yet as it must be in the end: all views agree with the store, and nothing is left undone. */
  async left(redis: RealRedis): Promise<readonly string[]> {
    const services = this.#cast.livingServices.flatMap((service) => this.#leftOf(service))
    const { store, broker } = this.#cast
    const unsent = [...store.primary.ledger.entries].filter((place) => !broker.taken.has(place))
    return [
      ...services,
      ...unsent.map((place) => `${place} never reached RabbitMQ`),
      ...this.#unannounced(),
      ...(await this.#notes(redis)),
    ]
  }

  #leftOf(service: ServiceInstance): string[] {
    const { ledger } = this.#cast.store.primary
    const { name } = service
    return this.#tokens.flatMap((token) => {
      const { claims, header } = token
      const decision = service.check(token)
      if (decision === undefined) return []
      const { code, staleMs } = decision
      const duty = ledger.dutyTo(claims, header)
      const isRefused = code === 'revoked' || code === 'held'
      if (code === 'stale' || code === 'not_ready') return [`${name} is ${code} at the end`]
      if (staleMs > MAX_STALENESS_MS) return [`${name} is ${staleMs} ms behind at the end`]
      if (code === 'active' && duty === 'must') return [`${name} lets ${claims.jti} in at the end`]
      if (isRefused && duty === 'never')
        return [`${name} says at the end that ${claims.jti} is ${code}`]
      return []
    })
  }

  #unannounced(): string[] {
    const { world, store } = this.#cast
    const { ledger, offsetMs } = store.primary
    const now = world.wall + Math.min(offsetMs, 0)
    return [...ledger.tokens].flatMap((key) => {
      const [tenant = '', jti = '', exp = ''] = key.split(' ')
      const isOver = Number(exp) * 1000 + ANNOUNCED_MS < now
      if (!isOver || ledger.announced.has(key) || ledger.isJtiRevoked(tenant, jti)) return []
      return [`${key} was never announced as expired`]
    })
  }

  /** Read past the simulation, so that it is no event of the run. */
  async #notes(redis: RealRedis): Promise<string[]> {
    const { keys } = this.#cast.store
    const shards = this.#cast.tenants.flatMap((tenant) =>
      Array.from({ length: SHARDS }, (_, shard) => keys.shard(tenant, shard)),
    )
    const commands = shards.flatMap(({ unsent }) => [
      ['zcard', unsent.revocations],
      ['zcard', unsent.expiries],
    ])
    const counts = await redis.read(this.#cast.store.primary.db, commands)
    return counts.flatMap(([, count]) =>
      count === 0 ? [] : [`${String(count)} notes are left at the end`],
    )
  }
}
