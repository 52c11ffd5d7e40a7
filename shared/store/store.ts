import { randomBytes } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { KnellError } from '../domain/errors.ts'
import { StoreClock, type Moment } from '../domain/store-clock.ts'
import { keySpaceOf, type KeySpace } from './keys.ts'
import { commandName, scripts, type ScriptName } from './scripts/index.ts'
import { toStoreError } from './store-error.ts'

export type RedisClient = Redis | Cluster
export type Reply = readonly (string | number)[]

/** The two clocks of this process, read at once. */
export function thisMoment(): Moment {
  return { mono: performance.now(), wall: Date.now() }
}

/**
 * The one door to Redis: runs Knell's scripts, turns driver errors into coded ones and keeps an
 * idea of the store's clock from every answer.
 */
export class Store {
  readonly redis: RedisClient
  readonly keys: KeySpace
  /** How many shards each tenant has; a fact of the store. */
  readonly shards: number
  readonly clock: StoreClock = new StoreClock()

  constructor(redis: RedisClient, options: { namespace: string; shards: number }) {
    this.redis = redis
    this.keys = keySpaceOf(options.namespace)
    this.shards = options.shards
    for (const [name, lua] of scripts) redis.defineCommand(name, { lua })
  }

  /** Runs a script; `args` come after the random that every script takes first. @throws KnellError `store_*` */
  async run(
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number)[] = [],
  ): Promise<Reply> {
    const command = (this.redis as unknown as Record<string, ScriptCommand>)[commandName(name)]
    if (command === undefined) throw new KnellError('internal', `No script is called ${name}.`)
    const random = randomBytes(4).toString('hex')
    try {
      const reply = await command.call(this.redis, keys.length, ...keys, random, ...args)
      return Array.isArray(reply) ? (reply as Reply) : [reply as string | number]
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** The earliest the store's clock can show now (ms), asking the store once where no answer has told it yet. */
  async now(tenant: string): Promise<number> {
    if (!this.clock.isSet) await this.touch(tenant, 0)
    return this.clock.earliest(thisMoment())
  }

  /** A shard's time, epoch and tails. With `beatMs` it also asks for the right to beat in this interval. */
  async touch(tenant: string, shard: number, beatMs = 0): Promise<Touch> {
    const sent = thisMoment()
    const reply = await this.run(
      'touch',
      [this.keys.shard(tenant, shard).meta],
      [Math.round(beatMs)],
    )
    const at = Number(reply[0])
    this.clock.set(at, sent, thisMoment())
    return {
      at,
      epoch: String(reply[1]),
      tails: { revocations: Number(reply[2]), expiries: Number(reply[3]) },
      mayBeat: reply[4] === 1,
      ttl: String(reply[5]),
    }
  }

  /** Ends the connection at once: QUIT would wait for a server that may be gone. */
  close(): void {
    this.redis.disconnect()
  }
}

interface Touch {
  readonly at: number
  readonly epoch: string
  readonly tails: { readonly revocations: number; readonly expiries: number }
  readonly mayBeat: boolean
  readonly ttl: string
}

type ScriptCommand = (count: number, ...args: (string | number)[]) => Promise<unknown>
