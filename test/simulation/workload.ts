import type { Match } from '../../shared/domain/claims.ts'
import type { Cast } from './cast.ts'
import type { Answer } from './sim-http.ts'
import { makeMatch, type SimToken } from './tokens.ts'

/** What clients of the notifiers do: they call once, and where no answer comes they do not know. */
export class Workload {
  readonly #cast: Cast
  readonly #tokens: readonly SimToken[]
  /** Ids that were answered. */
  readonly acknowledged: { readonly id: string; readonly tenant: string }[] = []
  /** What half of the changes are about, so that they meet. */
  readonly #favourites: readonly Match[]

  constructor(cast: Cast, tokens: readonly SimToken[]) {
    this.#cast = cast
    this.#tokens = tokens
    this.#favourites = [1, 2].map(() => makeMatch(cast.world.random, tokens))
  }

  /** Some calls at random moments of the time to come. */
  plan(count: number, withinMs: number): void {
    const { world } = this.#cast
    for (const token of this.#tokens) {
      if (world.random.chance(0.8)) {
        world.later(world.random.int(withinMs / 2), () => this.#register(token))
      }
    }
    for (let i = 0; i < count; i++) world.later(world.random.int(withinMs), () => this.#change())
  }

  #register({ claims }: SimToken): void {
    const { tnt: tenant, jti, sub, sid, client_id, exp } = claims
    this.#send('/v1/tokens', { tenant, jti, exp, sub, sid, client_id })
  }

  #change(): void {
    const { tenants, world } = this.#cast
    const { random } = world
    const tenant = random.pick(tenants)
    const isFavourite = random.chance(0.5)
    const match = isFavourite ? random.pick(this.#favourites) : makeMatch(random, this.#tokens)
    const kind = random.fraction()
    const [known] = this.acknowledged.length > 0 ? [random.pick(this.acknowledged)] : []
    if (kind < 0.55) this.#revoke(tenant, match)
    else if (kind < 0.7) this.#hold(tenant, match)
    else if (kind < 0.78) {
      this.#send('/v1/revocations/release', { tenant, match, force: random.chance(0.3) })
    } else if (kind < 0.89 || known === undefined) {
      this.#send('/v1/revocations/restore', { tenant, match, force: random.chance(0.3) })
    } else this.#send('/v1/revocations/restore', known)
  }

  #revoke(tenant: string, match: object): void {
    const { random, wall } = this.#cast.world
    const { claims } = random.pick(this.#tokens)
    const isExplicit = random.chance(0.2)
    this.#send('/v1/revocations', {
      tenant,
      match,
      ...(isExplicit ? { issuedBefore: Math.floor(wall / 1000) - random.int(60) } : {}),
      ...(random.chance(0.25) ? { except: { sid: claims.sid } } : {}),
      ...(random.chance(0.4) ? { wait: { for: 'all', timeoutMs: 4000 } } : {}),
    })
  }

  #hold(tenant: string, match: object): void {
    const { random, wall } = this.#cast.world
    const reviewBy = Math.floor(wall / 1000) + random.between(2, 40)
    const outcome = random.pick(['release', 'revoke'])
    this.#send('/v1/revocations', { tenant, match, hold: { reviewBy, outcome } })
  }

  #send(path: string, body: Readonly<Record<string, unknown>> & { readonly tenant: string }): void {
    const { world, http, admin, hosts } = this.#cast
    const host = world.random.pick(hosts.filter((each) => each.startsWith('n')))
    const call = {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }
    world.log(`${path} ${call.body} to ${host}`)
    http.send(admin, host, call, {
      answered: (answer) => this.#answered(body.tenant, answer),
      failed: () => {},
    })
  }

  #answered(tenant: string, { status, body }: Answer): void {
    if (status >= 500) return
    const { id } = JSON.parse(body) as { id?: unknown }
    if (status === 201 && typeof id === 'string') {
      this.acknowledged.push({ id, tenant })
      if (!this.#cast.store.primary.ledger.made.has(`${tenant} ${id}`)) {
        this.#cast.world.violated(`${id} was acknowledged and never made`)
      }
    }
  }
}
