import { randomUUID } from 'node:crypto'
import { Cluster, type Redis } from 'ioredis'
import { KnellError } from '../domain/errors.ts'
import { FairTurns, type TurnLimits } from '../domain/fair-turns.ts'
import { StoreClock } from '../domain/store-clock.ts'
import { keySpaceOf, type KeySpace } from './keys.ts'
import { commandName, scripts, type ScriptName } from './scripts/index.ts'
import { toStoreError } from './store-error.ts'
import { thisMoment } from '../process/this-moment.ts'

export type RedisClient = Redis | Cluster
export type Reply = readonly (string | number)[]

/**
 * Scripts under way, by script and shard of a tenant. Redis runs them one after the other, so
 * however much is asked of one shard, a script of another, or another script of the same, such as
 * a commit behind a flood of checks, waits for a few milliseconds of it at most.
 */
const SCRIPTS: TurnLimits = { places: 256, each: 4, waiting: 10_000 }
/** As long as a command may take: while the store is frozen, what waits for its turn fails as soon as what was sent. */
const MAX_TURN_MS = 3000
/** So many plain reads go to the store at once. */
const READ_SLICE = 250

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
  readonly #turns = new FairTurns(SCRIPTS)

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
    try {
      const reply = await this.#inTurn(`${keys[0]} ${name}`, () => this.#script(name, keys, args))
      return Array.isArray(reply) ? (reply as Reply) : [reply as string | number]
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /**
   * One page of a hash of a shard, read by a plain HSCAN: in a script each value would be made anew,
   * twice. After it, over the same connection, a script looks where that was: in the epoch that it
   * answers, at a server that takes writes. That it names the hash keeps it from another server than
   * that of the page while a slot of a cluster migrates.
   * @throws KnellError `store_*`
   */
  async scan(meta: string, hash: string, cursor: string, count: number): Promise<HashPage> {
    try {
      const [[next, fields], [at, epoch]] = await this.#inTurn(`${meta} scan`, () =>
        Promise.all([
          this.redis.hscan(hash, cursor, 'COUNT', count),
          this.#script('touch', [meta, hash], [0]) as Promise<Reply>,
        ]),
      )
      return { at: Number(at), epoch: String(epoch), cursor: next, fields }
    } catch (error) {
      throw toStoreError(error)
    }
  }

  #script(
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const command = (this.redis as unknown as Record<string, ScriptCommand>)[commandName(name)]
    if (command === undefined) throw new KnellError('internal', `No script is called ${name}.`)
    // Eight random hex digits: Node makes UUIDs of a pool, and other random bytes by a call each.
    const random = randomUUID().slice(0, 8)
    return command.call(this.redis, keys.length, ...keys, random, ...args)
  }

  /** Sends at once where there is a place, in the same stack; else when the owner's turn comes. */
  #inTurn<T>(owner: string, send: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const asked = performance.now()
      const start = (): void => {
        const late = performance.now() - asked > MAX_TURN_MS
        const sent = late ? Promise.reject(new Error('No turn in time.')) : send()
        resolve(sent.finally(() => this.#turns.leave(owner)))
      }
      if (this.#turns.enter(owner, start) !== undefined) return
      reject(
        new KnellError(
          'too_many_requests',
          'Too many calls of this tenant are waiting for the store; slow down and try again.',
        ),
      )
    })
  }

  /**
   * Plain reads, each within one shard, many at a time; undefined where the server of a key did not answer.
   * For looking whether a script is worth calling: they open no epoch and move no clock.
   * @throws KnellError `store_*` where nothing answered
   */
  async readAll(commands: readonly (readonly [string, ...string[]])[]): Promise<unknown[]> {
    const answers: unknown[] = []
    // Slices, so that what others ask for meanwhile need not wait for all of it.
    for (let from = 0; from < commands.length; from += READ_SLICE) {
      const slice = commands.slice(from, from + READ_SLICE)
      const results = await this.#readSlice(slice)
      const failed = results.find((result) => result instanceof Error)
      if (failed !== undefined && results.every((result) => result instanceof Error)) {
        throw toStoreError(failed)
      }
      for (const result of results) answers.push(result instanceof Error ? undefined : result)
    }
    return answers
  }

  /** The keys of a pipeline must be of one server, so a cluster is asked one by one. */
  async #readSlice(commands: readonly (readonly [string, ...string[]])[]): Promise<unknown[]> {
    const { redis } = this
    if (redis instanceof Cluster) {
      return Promise.all(
        commands.map(([name, ...args]) => redis.call(name, ...args).catch(toError)),
      )
    }
    try {
      const results = await redis.pipeline(commands.map((command) => [...command])).exec()
      return (results ?? []).map(([error, result]) => error ?? result)
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Plain commands; one that fails fails with a code. @throws KnellError `store_*` */
  async ask<T>(send: (redis: RedisClient) => Promise<T>): Promise<T> {
    try {
      return await send(this.redis)
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

/** `fields`: names and values in turns. `at` and `epoch`: the store's time (ms) and the shard's epoch just after. */
export interface HashPage {
  readonly at: number
  readonly epoch: string
  readonly cursor: string
  readonly fields: readonly string[]
}

export interface Touch {
  readonly at: number
  readonly epoch: string
  readonly tails: { readonly revocations: number; readonly expiries: number }
  readonly mayBeat: boolean
  readonly ttl: string
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

type ScriptCommand = (count: number, ...args: (string | number)[]) => Promise<unknown>
