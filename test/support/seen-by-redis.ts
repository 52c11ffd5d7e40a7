import { createHash, randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { scripts } from '../../shared/store/scripts/index.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import { eventually } from './eventually.ts'
import { keysOf } from './redis.ts'

/** Scripts of the background, which run whatever is asked; and `touch`, since what it tells is kept for a while. */
const BACKGROUND = new Set([
  'touch',
  'due',
  'dueChanges',
  'claimUnsent',
  'drain',
  'ack',
  'listInstances',
])

const names = new Map(
  [...scripts].map(([name, lua]) => [
    createHash('sha1').update(lua).digest('hex'),
    name.replace('knell:', ''),
  ]),
)

/** Everything that a namespace keeps in Redis, as one text. */
export async function dumpOf(redis: RedisClient, namespace: string): Promise<string> {
  const keys = [
    ...(await keysOf(redis, `${namespace}:*`)),
    ...(await keysOf(redis, `{${namespace}*`)),
  ]
  const values = await Promise.all(
    keys.map(async (key) => {
      switch (await redis.type(key)) {
        case 'hash':
          return redis.hgetall(key)
        case 'zset':
          return redis.zrange(key, '0', '-1', 'WITHSCORES')
        case 'set':
          return redis.smembers(key)
        case 'list':
          return redis.lrange(key, 0, -1)
        case 'stream':
          return redis.xrange(key, '-', '+')
        default:
          return redis.get(key)
      }
    }),
  )
  return keys.map((key, i) => `${key} ${JSON.stringify(values[i])}`).join('\n')
}

/**
 * How often each script ran while something was done, without those of the background. MONITOR is
 * spoken here: ioredis breaks where a line of it comes together with the answer to MONITOR.
 */
export async function scriptsDuring(
  redis: RedisClient,
  url: string,
  work: () => Promise<unknown>,
): Promise<Readonly<Record<string, number>>> {
  const { hostname, port, username, password } = new URL(url)
  const socket = connect(Number(port || 6379), hostname)
  const login = [username, password].filter(Boolean).map(decodeURIComponent).join(' ')
  socket.write(`${login === '' ? '' : `AUTH ${login}\r\n`}MONITOR\r\n`)
  const seen: string[] = []
  createInterface({ input: socket }).on('line', (line) => seen.push(line))
  const marked = async (): Promise<number> => {
    const marker = randomUUID()
    await redis.echo(marker)
    const find = (): number => seen.findIndex((line) => line.includes(marker))
    await eventually(() => find() >= 0, { what: 'the marker' })
    return find()
  }
  try {
    await eventually(() => seen.includes('+OK'), { what: 'MONITOR' })
    const from = await marked()
    await work()
    return countScripts(seen.slice(from, await marked()))
  } finally {
    socket.destroy()
  }
}

/** Lines such as `+1795989432.58 [0 127.0.0.1:58346] "evalsha" "<sha1>" …`. */
function countScripts(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const line of lines) {
    const [, sha = ''] = /^\S+ \[[^\]]*\] "evalsha" "(\w+)"/i.exec(line) ?? []
    const name = names.get(sha)
    if (name === undefined || BACKGROUND.has(name)) continue
    counts[name] = (counts[name] ?? 0) + 1
  }
  return Object.fromEntries(Object.entries(counts).toSorted(([a], [b]) => a.localeCompare(b)))
}
