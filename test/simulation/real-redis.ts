import { Redis } from 'ioredis'
import { scripts } from '../../shared/store/scripts/index.ts'
import { prelude, serverFacts } from '../../shared/store/scripts/prelude.ts'
import { edited, type Edit } from './mutations.ts'

/** Databases of the one real Redis: each is a server of the simulation, and the last keeps copies. */
export const SERVERS = 3
export const COPIES = 3

/** Commands that change nothing. */
export const READS: ReadonlySet<string> = new Set([
  'exists',
  'get',
  'hget',
  'hkeys',
  'hmget',
  'xrange',
  'zcard',
  'zrange',
  'zrangebyscore',
  'zrevrangebyscore',
])

type Command = readonly unknown[]

/** The random that every script takes first brings the facts along. */
const simulatedFacts = `local RUN, REPL, MS
RANDOM, RUN, REPL, MS = string.match(RANDOM, '^(%w+) (%w+) (%w+) (%d+)$')
local function serverFacts() return RUN, REPL, tonumber(MS) end`

/** Makes the present database a copy of another one. */
const copyFrom = `
local target = tonumber(ARGV[2])
redis.call('SELECT', target)
redis.call('FLUSHDB')
redis.call('SELECT', tonumber(ARGV[1]))
for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', target) end
return 1
`

/**
 * What plain reads of a database have answered: good until something is executed that names their key.
 * Long polls look ten times a second, and mostly nothing has changed.
 */
class KnownReads {
  readonly #replies = new Map<string, unknown>()
  /** By key: the reads that it decides. */
  readonly #about = new Map<string, Set<string>>()

  has(command: Command): boolean {
    return this.#replies.has(JSON.stringify(command))
  }

  get(command: Command): unknown {
    return this.#replies.get(JSON.stringify(command))
  }

  keep(command: Command, reply: unknown): void {
    const text = JSON.stringify(command)
    this.#replies.set(text, reply)
    for (const key of command.slice(1, command[0] === 'exists' ? undefined : 2)) {
      const texts = this.#about.get(String(key)) ?? new Set()
      this.#about.set(String(key), texts.add(text))
    }
  }

  forget(keys: readonly unknown[]): void {
    for (const key of keys) {
      for (const text of this.#about.get(String(key)) ?? []) this.#replies.delete(text)
      this.#about.delete(String(key))
    }
  }

  clear(): void {
    this.#replies.clear()
    this.#about.clear()
  }
}

/** The real Redis behind all simulated servers, with Knell's scripts loaded. One for many runs. */
export class RealRedis {
  readonly #connections: readonly Redis[]
  readonly #shas = new Map<string, string>()
  readonly #known = Array.from({ length: SERVERS }, () => new KnownReads())

  private constructor(connections: readonly Redis[]) {
    this.#connections = connections
  }

  static async open(path: string, edits: readonly Edit[]): Promise<RealRedis> {
    const connections = Array.from(
      { length: SERVERS },
      (_, db) => new Redis({ path, db, lazyConnect: true }),
    )
    await Promise.all(connections.map((each) => each.connect()))
    const opened = new RealRedis(connections)
    await opened.#load(edits)
    return opened
  }

  async #load(edits: readonly Edit[]): Promise<void> {
    const [first] = this.#connections as [Redis]
    for (const [name, text] of scripts) {
      if (!text.startsWith(prelude) || !text.includes(serverFacts)) {
        throw new Error(`The script ${name} does not begin as the simulation expects.`)
      }
      let lua = text.split(serverFacts).join(simulatedFacts)
      for (const edit of edits) {
        if (edit.file === name || edit.file === 'every script') lua = edited(lua, edit, name)
      }
      this.#shas.set(name, String(await first.script('LOAD', lua)))
    }
  }

  /** Executes a command as the server of this database at this time. */
  async execute(db: number, facts: string, name: string, args: Command): Promise<unknown> {
    const redis = this.#connections[db] as Redis
    const sha = this.#shas.get(name)
    if (sha !== undefined) {
      const random = 1 + Number(args[0])
      this.#known[db]?.forget(args.slice(1, random))
      return redis.call(
        'EVALSHA',
        sha,
        ...(args.with(random, `${String(args[random])} ${facts}`) as string[]),
      )
    }
    if (READS.has(name)) {
      const [reply] = await this.read(db, [[name, ...args]])
      return reply?.[1]
    }
    this.#known[db]?.forget(args.slice(0, 1))
    return redis.call(name, ...(args as string[]))
  }

  /** Plain reads, answered as a pipeline answers. @throws where one fails */
  async read(db: number, commands: readonly Command[]): Promise<[null, unknown][]> {
    const known = this.#known[db] as KnownReads
    const missing = commands.filter((command) => !known.has(command))
    if (missing.length > 0) {
      const pipeline = (this.#connections[db] as Redis).pipeline(missing.map((each) => [...each]))
      const results = (await pipeline.exec()) ?? []
      for (const [i, command] of missing.entries()) {
        const [error, reply] = results[i] ?? [new Error('No answer.')]
        if (error !== null) throw error
        known.keep(command, reply)
      }
    }
    return commands.map((command) => [null, known.get(command)])
  }

  async clear(): Promise<void> {
    for (const each of this.#known) each.clear()
    await (this.#connections[0] as Redis).flushall()
  }

  /** Copies all keys of one database to another one, which is emptied first. */
  async copy(from: number, to: number): Promise<void> {
    this.#known[to]?.clear()
    await (this.#connections[0] as Redis).eval(copyFrom, 0, from, to)
  }

  close(): void {
    for (const each of this.#connections) each.disconnect()
  }
}
