import { positionOf, type Entry } from '../../shared/domain/entry.ts'
import { formatPlace } from '../../shared/domain/position.ts'
import type { Ledger } from './ledger.ts'
import type { SimStore, StoreServer } from './sim-store.ts'
import type { World } from './world.ts'

/** Follows what the servers execute, in the order in which they do, and keeps their ledgers. */
export class Observer {
  readonly #world: World
  /** Commits that were executed, to tell whoever wants to know. */
  commits = 0

  constructor(world: World) {
    this.#world = world
  }

  take(
    server: StoreServer,
    { primary, mostAheadMs }: Pick<SimStore, 'primary' | 'mostAheadMs'>,
    script: string,
    args: readonly unknown[],
    reply: unknown,
  ): void {
    if (!Array.isArray(reply)) return
    const argv = args.slice(1 + Number(args[0]))
    if (script === 'knell:commit') this.#commit(server, argv, reply)
    else if (script === 'knell:drain') this.#drain(server.ledger, mostAheadMs, reply)
    else if (script === 'knell:register')
      this.#register(server, tenantOf(String(args[1])), argv, reply)
    else return
    if (server !== primary) primary.ledger.noteLost(server.ledger)
  }

  #commit({ ledger }: StoreServer, argv: readonly unknown[], reply: readonly unknown[]): void {
    const [word, now, , result] = reply.map(String)
    if (word !== 'ok') return
    const changes = JSON.parse(String(argv[4])) as Readonly<Record<string, unknown>>[]
    const sec = Math.floor(Number(now) / 1000)
    for (const [i, answer] of String(result).split('\n').entries()) {
      this.commits += 1
      const problem = ledger.apply(
        String(argv[1]),
        changes[i] ?? {},
        answer,
        String(argv[2]),
        sec,
        this.#world.now,
      )
      if (problem !== undefined) this.#world.violated(problem)
    }
    this.#entries(ledger, reply.slice(4))
  }

  /** `seq` and body, in turn. */
  #entries(ledger: Ledger, pairs: readonly unknown[]): void {
    for (let i = 1; i < pairs.length; i += 2) {
      const { tenant, log, shard, epoch, seq } = JSON.parse(String(pairs[i])) as Entry
      ledger.entries.add(formatPlace({ tenant, log, shard, position: positionOf({ epoch, seq }) }))
    }
  }

  #drain(ledger: Ledger, mostAheadMs: number, reply: readonly unknown[]): void {
    const now = Number(reply[1])
    // Its time stands still after its clock has jumped back, so it may be ahead of the clock.
    if (now > this.#world.wall + mostAheadMs) {
      this.#world.violated(`the store says a time that has not come: ${now}`)
    }
    this.#entries(ledger, reply.slice(8))
    for (let i = 9; i < reply.length; i += 2) {
      const { tenant, kind, events } = JSON.parse(String(reply[i])) as {
        tenant: string
        kind: string
        events: { jti: string; exp: number; inSeconds?: number }[]
      }
      for (const { jti, exp, inSeconds } of events) {
        const token = `${tenant} ${jti} ${exp}`
        const key = inSeconds === undefined ? token : `${token} -${inSeconds}`
        const times = (ledger.announced.get(key) ?? 0) + 1
        ledger.announced.set(key, times)
        if (times > 1) this.#world.violated(`${key} is announced as ${kind} ${times} times`)
        const isOver = exp * 1000 <= now
        if (isOver !== (kind === 'expired')) {
          this.#world.violated(`${key} is announced as ${kind} at ${now}`)
        }
        if (!ledger.tokens.has(token)) {
          this.#world.violated(`${key} is announced and was never registered`)
        }
      }
    }
  }

  #register(
    { ledger }: StoreServer,
    tenant: string,
    argv: readonly unknown[],
    reply: readonly unknown[],
  ): void {
    const [word, , , ...refused] = reply.map(String)
    if (word !== 'ok') return
    const count = Number(argv[4])
    const seconds = argv.slice(5, 5 + count).map(Number)
    const not = new Set(refused.map((text) => Number(text.slice(1))))
    for (let i = 5 + count, n = 0; i < argv.length; i += 3, n++) {
      if (not.has(n)) continue
      ledger.tokens.add(`${tenant} ${String(argv[i + 1])} ${seconds[Number(argv[i]) - 1]}`)
    }
  }
}

/** The tenant that a key of a shard belongs to, from its hash tag `{<tenant>.<shard>}`. */
function tenantOf(key: string): string {
  const [, tenant] = /\{(.+)\.\d+\}/.exec(key) ?? []
  if (tenant === undefined) throw new Error(`${key} is no key of a tenant.`)
  return tenant
}
