import { createHash } from 'node:crypto'
import { keySpaceOf, type KeySpace } from '../../shared/store/keys.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import type { Ledger } from './ledger.ts'
import { COPIES, READS, SERVERS, type RealRedis } from './real-redis.ts'
import { NAMESPACE } from './settings.ts'
import type { Actor, World } from './world.ts'

/** Whether a command of which nothing came back was executed nobody knows; ioredis gives up after this long. */
const TIMEOUT_MS = 3000
/** One Redis server, as Knell sees it: what tells it from others, its clock, and what it has executed. */
export interface StoreServer {
  readonly db: number
  run: string
  repl: string
  /** How far its clock is from the right one, ms. */
  offsetMs: number
  isUp: boolean
  /** An old primary that has been cut off for long enough refuses writes. */
  isWritable: boolean
  ledger: Ledger
}

/** A client of the store, and the server that it is connected to. */
export interface Client extends Actor {
  server: StoreServer
}

type Answered = (
  server: StoreServer,
  script: string,
  args: readonly unknown[],
  reply: unknown,
) => void

/** The servers of one run and the way to them. */
export class SimStore {
  readonly #world: World
  readonly #redis: RealRedis
  readonly #onAnswered: Answered
  readonly keys: KeySpace = keySpaceOf(NAMESPACE)
  readonly servers: StoreServer[] = []
  primary: StoreServer
  /** How far a server's clock has been ahead of the right one at most, ms. */
  mostAheadMs = 0
  /** The latest time that any server has had, ms. */
  #latest = 0
  #copied: Ledger | undefined
  /** When the store's time last went ahead by a jump: what it had heard of then looks older than it is. */
  jumpedAt: number = Number.NEGATIVE_INFINITY
  /** Whether some server has ever lost writes. */
  #hasLost = false

  constructor(world: World, redis: RealRedis, ledger: Ledger, onAnswered: Answered) {
    this.#world = world
    this.#redis = redis
    this.#onAnswered = onAnswered
    for (let db = 0; db < SERVERS; db++) {
      this.servers.push({
        db,
        run: this.#name(),
        repl: this.#name(),
        offsetMs: 0,
        isUp: true,
        isWritable: true,
        ledger,
      })
    }
    this.primary = this.servers[0] as StoreServer
  }

  #name(): string {
    return this.#world.random.bytes(10).toString('hex')
  }

  /** Keeps a copy of what the primary has now, for `fallBack`. */
  keepCopy(): void {
    this.#world.log('the store writes its state down')
    this.#copied = this.primary.ledger.clone()
    this.#world.really(this.#redis.copy(this.primary.db, COPIES))
  }

  get hasCopy(): boolean {
    return this.#copied !== undefined
  }

  /** The primary starts again, as another run of the server; `lost`: with the copy that was kept. */
  restart(downMs: number, options: { lost: boolean; offsetMs: number }): void {
    const server = this.primary
    this.#world.log(
      `the store goes down${options.lost ? ' and will have lost what came after its copy' : ''}`,
    )
    server.isUp = false
    this.#world.later(downMs, () => {
      if (options.lost) this.#lose(server)
      server.run = this.#name()
      server.repl = this.#name()
      this.#setClock(server, options.offsetMs, server.offsetMs)
      server.isUp = true
      this.#world.log(`the store is up, ${server.offsetMs} ms off`)
    })
  }

  /** The primary's clock goes ahead by so much, or back. */
  jump(byMs: number): void {
    const { primary } = this
    this.#setClock(primary, primary.offsetMs + byMs, primary.offsetMs)
    this.#world.log(`the store's clock jumps, and is ${primary.offsetMs} ms off`)
  }

  /** `beforeMs`: how far the store's clock was off before. */
  #setClock(server: StoreServer, offsetMs: number, beforeMs: number): void {
    server.offsetMs = this.#hasLost ? this.#notBack(offsetMs) : offsetMs
    if (server.offsetMs > beforeMs) this.jumpedAt = this.#world.now
  }

  /**
   * A server that has lost writes must not live before the terms that it has lost, now or after another
   * start: then its own next term would be lower than one that views know, and they would be stale until
   * it starts again.
   */
  #notBack(offsetMs: number): number {
    return Math.max(offsetMs, this.#latest - this.#world.wall)
  }

  #lose(server: StoreServer): void {
    const copied = this.#copied
    if (copied === undefined) return
    this.#hasLost = true
    server.ledger = copied.clone({ succeeds: server.ledger })
    this.#world.really(this.#redis.copy(COPIES, server.db))
  }

  /**
   * Another server becomes primary, with all that the old one has now. The old one lives on for those
   * who still speak to it, and takes their writes for as long as it may: what it takes is lost.
   */
  failOver(clients: readonly Client[], overlapMs: number, offsetMs: number): void {
    this.#hasLost = true
    const old = this.primary
    const next = this.servers[(old.db + 1) % SERVERS] as StoreServer
    Object.assign(next, {
      run: this.#name(),
      repl: this.#name(),
      isUp: true,
      isWritable: true,
      ledger: old.ledger.clone({ succeeds: old.ledger }),
    })
    this.#setClock(next, offsetMs, old.offsetMs)
    this.#world.really(this.#redis.copy(old.db, next.db))
    this.primary = next
    this.#world.log(
      `server ${next.db} takes over from ${old.db}; old: ${clients.map(({ name }) => name).join()}`,
    )
    const { run } = old
    this.#world.later(overlapMs, () => {
      // It may have become primary again meanwhile, as another run.
      if (old.run !== run) return
      this.#world.log(`server ${old.db} refuses writes`)
      old.isWritable = false
    })
  }

  /** What a process has for its connection. */
  clientOf(client: Client): RedisClient {
    const known: Record<string, unknown> = {
      defineCommand: () => {},
      on: () => {},
      disconnect: () => {},
      options: {},
      pipeline: (commands: readonly (readonly unknown[])[]) => ({
        exec: () => this.#call(client, 'reads', (server) => this.#redis.read(server.db, commands)),
      }),
      multi: () => this.#multi(client),
    }
    return new Proxy(known, {
      get: (_, name) => {
        if (typeof name !== 'string' || name === 'then') return undefined
        if (name in known) return known[name]
        return (...args: unknown[]) => this.#command(client, name, args)
      },
    }) as unknown as RedisClient
  }

  #command(client: Client, name: string, args: readonly unknown[]): Promise<unknown> {
    return this.#call(client, name, async (server) => {
      if (!server.isWritable && !READS.has(name)) {
        throw new Error('NOREPLICAS Not enough good replicas to write.')
      }
      const at = this.#world.wall + server.offsetMs
      this.mostAheadMs = Math.max(this.mostAheadMs, server.offsetMs)
      this.#latest = Math.max(this.#latest, at)
      const reply = await this.#redis.execute(
        server.db,
        `${server.run} ${server.repl} ${at}`,
        name,
        args,
      )
      this.#onAnswered(server, name, args, reply)
      return reply
    })
  }

  #multi(client: Client): object {
    const commands: [string, unknown[]][] = []
    const chain: object = new Proxy(
      {},
      {
        get: (_, name) => {
          if (name === 'exec') {
            return async () => {
              const results: [null, unknown][] = []
              for (const [each, args] of commands) {
                results.push([null, await this.#command(client, each, args)])
              }
              return results
            }
          }
          return (...args: unknown[]) => {
            commands.push([String(name), args])
            return chain
          }
        },
      },
    )
    return chain
  }

  /** Sends a command and its answer over the network: either may be late or lost, or executed twice. */
  #call(
    client: Client,
    name: string,
    execute: (server: StoreServer) => Promise<unknown>,
  ): Promise<unknown> {
    const world = this.#world
    const { rates, random } = world
    return new Promise((resolve, reject) => {
      if (world.crashes(client, `before ${name}`)) return
      // Whatever becomes of it: what comes later comes too late, though it may have been executed.
      world.reach(client, TIMEOUT_MS, () => reject(new Error('Command timed out')))
      if (random.chance(rates.storeRequestLost)) {
        world.log(`${name} of ${client.name} is lost`)
        return
      }
      world.later(world.delay(), () => {
        const { server } = client
        if (!server.isUp) {
          world.reach(client, random.between(50, 500), () =>
            reject(new Error('Connection is closed.')),
          )
          return
        }
        const isTwice = random.chance(rates.storeTwice)
        const once = execute(server)
        const done = isTwice ? once.then(() => execute(server)) : once
        world.really(
          this.#settle(client, `${name}${isTwice ? ' twice' : ''}`, done, resolve, reject),
        )
      })
    })
  }

  async #settle(
    client: Client,
    what: string,
    done: Promise<unknown>,
    resolve: (reply: unknown) => void,
    reject: (error: unknown) => void,
  ): Promise<void> {
    const world = this.#world
    try {
      const reply = await done
      world.log(`${client.name} ${what} = ${short(reply)}`)
      if (world.random.chance(world.rates.storeAnswerLost)) {
        world.log(`the answer to ${what} of ${client.name} is lost`)
        return
      }
      world.reach(client, world.delay(), () => {
        if (!world.crashes(client, `after ${what}`)) resolve(reply)
      })
    } catch (error) {
      world.log(`${client.name} ${what} fails: ${String(error)}`)
      world.reach(client, world.delay(), () => reject(error))
    }
  }
}

function short(reply: unknown): string {
  const text = JSON.stringify(reply) ?? ''
  if (text.length < 240) return text
  return `${text.slice(0, 200)}… ${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}
