import { createHash } from 'node:crypto'
import { Cluster } from 'ioredis'
import { scripts } from '../../shared/store/scripts/index.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import { eventually } from './eventually.ts'

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
  const keys = [...(await redis.keys(`${namespace}:*`)), ...(await redis.keys(`{${namespace}*`))]
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

/** How often each script ran while something was done, without those of the background. */
export async function scriptsDuring(
  redis: RedisClient,
  work: () => Promise<unknown>,
): Promise<Readonly<Record<string, number>>> {
  if (redis instanceof Cluster) throw new Error('One server is watched, not a cluster.')
  const counts: Record<string, number> = {}
  const monitor = await redis.monitor()
  let isOver = false
  const marker = `over-${Math.random()}`
  monitor.on('monitor', (_time: string, [command = '', first = '']: string[]) => {
    if (first === marker) isOver = true
    const name = /^evalsha$/i.test(command) ? names.get(first) : undefined
    if (name === undefined || BACKGROUND.has(name) || isOver) return
    counts[name] = (counts[name] ?? 0) + 1
  })
  try {
    await work()
    await redis.echo(marker)
    await eventually(() => isOver, { what: 'the marker' })
  } finally {
    monitor.disconnect()
  }
  return Object.fromEntries(Object.entries(counts).toSorted(([a], [b]) => a.localeCompare(b)))
}
