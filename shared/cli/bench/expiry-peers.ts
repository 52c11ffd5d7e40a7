import { connect } from 'amqplib'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bench } from './bench-context.ts'
import { openRedis } from './redis-info.ts'
import { jtiOf } from './tokens.ts'

/** What is not heard of so long after the last was due counts as lost. */
const GIVE_UP_MS = 10_000
const AT_ONCE = 1000
const LOOK_EVERY_MS = 50

export interface Lateness {
  /** Of what was heard of, ms after it was due. */
  readonly lateMs: readonly number[]
  readonly lostShare: number
}

interface Load {
  readonly count: number
  readonly seconds: number
  /** From now to the first that is due. */
  readonly leadMs: number
}

/** When each of the tokens is due, the order of the moments being none at all, as with tokens of different lives. */
function dueTimes({ count, seconds, leadMs }: Load): number[] {
  const start = Date.now() + leadMs
  const step = 7919
  return Array.from(
    { length: count },
    (_, i) => start + (((i * step) % count) * seconds * 1000) / count,
  )
}

/** Waits until all are heard of, or it is no use to wait. */
async function settle(
  load: Load,
  heard: readonly number[],
  due: readonly number[],
): Promise<Lateness> {
  const end = Math.max(...due) + GIVE_UP_MS
  while (heard.length < load.count && Date.now() < end) await delay(LOOK_EVERY_MS)
  return { lateMs: [...heard], lostShare: Math.max(0, 1 - heard.length / load.count) }
}

/** One message with a TTL of its own per token, in a queue that nobody reads, dead-lettered into one that is read. */
export async function rabbitTtl({ engines, scope }: Bench, load: Load): Promise<Lateness> {
  const model = await connect(engines.amqpUrl, { noDelay: true, timeout: 5000 })
  scope.defer(() => model.close())
  model.on('error', () => {})
  const channel = await model.createConfirmChannel()
  const [waiting, dead] = [`${engines.namespace}.bench.ttl`, `${engines.namespace}.bench.ttl.dead`]
  await channel.assertQueue(dead, { durable: true })
  scope.defer(() => channel.deleteQueue(dead))
  await channel.assertQueue(waiting, {
    durable: true,
    deadLetterExchange: '',
    deadLetterRoutingKey: dead,
  })
  scope.defer(() => channel.deleteQueue(waiting))
  const due = dueTimes(load)
  const heard: number[] = []
  await channel.prefetch(1000)
  await channel.consume(dead, (message) => {
    if (message === null) return
    heard.push(Date.now() - Number(message.properties.messageId))
    channel.ack(message)
  })
  for (const [i, at] of due.entries()) {
    const options = {
      persistent: true,
      messageId: String(at),
      expiration: String(Math.max(0, Math.round(at - Date.now()))),
    }
    channel.publish('', waiting, Buffer.from(JSON.stringify({ jti: jtiOf(i) })), options)
    if (i % AT_ONCE === AT_ONCE - 1) await channel.waitForConfirms()
  }
  await channel.waitForConfirms()
  return settle(load, heard, due)
}

/**
 * One Redis key with an expiry per token, and a subscription to the events of their expiry, with so
 * many other live keys beside. Undefined on a Redis that was lent: the events are off by default,
 * and its configuration is not ours.
 */
export async function keyspaceEvents(
  bench: Bench,
  load: Load,
  others: number,
): Promise<Lateness | undefined> {
  const { engines, scope } = bench
  if (engines.redis === undefined) return undefined
  const redis = openRedis(bench)
  await redis.config('SET', 'notify-keyspace-events', 'Ex')
  scope.defer(() => redis.config('SET', 'notify-keyspace-events', ''))
  const prefix = `${engines.namespace}:ttl:`
  await setAll(redis, others, (i) => [`${prefix}other:${jtiOf(i)}`, Date.now() + 3_600_000])
  const ear = openRedis(bench)
  const due = dueTimes(load)
  const heard: number[] = []
  ear.on('message', (_, key: string) => {
    if (!key.startsWith(prefix)) return
    heard.push(Date.now() - Number(key.slice(key.lastIndexOf(':') + 1)))
  })
  await ear.subscribe('__keyevent@0__:expired')
  await setAll(redis, load.count, (i) => {
    const at = Math.round(due[i] ?? 0)
    return [`${prefix}${jtiOf(i)}:${at}`, at]
  })
  return settle(load, heard, due)
}

async function setAll(
  redis: ReturnType<typeof openRedis>,
  count: number,
  keyOf: (index: number) => readonly [string, number],
): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE) {
    const pipeline = redis.pipeline()
    for (let i = from; i < Math.min(from + AT_ONCE, count); i++) {
      const [key, at] = keyOf(i)
      pipeline.set(key, '1', 'PXAT', at)
    }
    await pipeline.exec()
  }
}
