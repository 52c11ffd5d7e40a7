import { fileURLToPath } from 'node:url'
import { connect, type ChannelModel } from 'amqplib'
import type { Cluster, Redis } from 'ioredis'
import { exchangesOf } from '../../broker/topology.ts'
import { parseRedisUrl, type RedisTarget } from '../../config/redis-url.ts'
import { namesOf } from '../../domain/names.ts'
import { createRedis } from '../../store/redis.ts'
import type { EngineOptions, OpenPart } from './engines.ts'
import { clearAfterDeath } from './leftovers.ts'
import { SetupError } from './setup-error.ts'
import { whenReady } from './when-ready.ts'

const CONNECT_WITHIN_MS = 5_000
const UNLINK_AT_ONCE = 500

/** Servers that belong to somebody else, and the one prefix of names on them that is ours. */
export interface GivenEngines {
  readonly amqpUrl?: string | undefined
  readonly redisUrl?: string | undefined
  readonly namespace: string
  readonly services: readonly string[]
}

/** Checks that the given servers answer, and sees to it that all names of this run leave them at the end. */
export async function openGiven(
  options: Pick<EngineOptions, 'env'> & Pick<GivenEngines, 'namespace' | 'services'>,
): Promise<OpenPart> {
  const { AMQP_URL: amqpUrl, REDIS_URL: redisUrl } = options.env
  const given: GivenEngines = {
    ...(amqpUrl && { amqpUrl }),
    ...(redisUrl && { redisUrl }),
    namespace: options.namespace,
    services: options.services,
  }
  if (given.amqpUrl) await withRabbit(given.amqpUrl, async () => {})
  if (given.redisUrl) await withRedis(given.redisUrl, async (redis) => void (await redis.ping()))
  const forget = clearAfterDeath({
    kind: 'command',
    file: process.execPath,
    args: [fileURLToPath(new URL('clean-given.js', import.meta.url))],
    env: { GIVEN: JSON.stringify(given) },
  })
  return {
    urls: {
      ...(given.amqpUrl && { rabbitmq: given.amqpUrl }),
      ...(given.redisUrl && { redis: given.redisUrl }),
    },
    async stop() {
      await cleanGiven(given)
      forget()
    },
  }
}

/** Deletes every Redis key and every AMQP exchange and queue of the namespace, and nothing else. */
export async function cleanGiven(given: GivenEngines): Promise<void> {
  const services = new Set(given.services)
  if (given.redisUrl) {
    await withRedis(given.redisUrl, async (redis) => {
      for (const service of await unlinkNamespace(redis, given.namespace)) services.add(service)
    })
  }
  if (given.amqpUrl) {
    await withRabbit(given.amqpUrl, (model) => deleteNames(model, given.namespace, services))
  }
}

/** Returns the services that the store knew of, since nothing else tells the names of their queues. */
async function unlinkNamespace(redis: Redis | Cluster, namespace: string): Promise<Set<string>> {
  const services = new Set<string>()
  const nodes = 'nodes' in redis ? redis.nodes('master') : [redis]
  for (const node of nodes) {
    // BullMQ's keys have the namespace in braces, as a hash tag.
    for (const match of [`${namespace}:*`, `{${namespace}}:*`]) {
      for await (const found of node.scanStream({ match, count: UNLINK_AT_ONCE })) {
        for (const key of found as string[]) {
          if (key.endsWith(':instances')) {
            const fields = await redis.hkeys(key)
            for (const field of fields) services.add(field.split(' ')[0] ?? field)
          }
        }
        // One key a command: in a cluster those of one page lie in many slots.
        await Promise.all((found as string[]).map((key) => redis.unlink(key)))
      }
    }
  }
  return services
}

async function deleteNames(
  model: ChannelModel,
  namespace: string,
  services: Iterable<string>,
): Promise<void> {
  for (const exchange of exchangesOf(namesOf(namespace))) {
    await onChannel(model, (channel) => channel.deleteExchange(exchange))
  }
  for (const service of services) {
    const queue = `${namespace}.service.${service}`
    const steps = Array.from({ length: 12 }, (_, step) => `${queue}.retry.${step}`)
    for (const name of [queue, `${queue}.dead`, ...steps]) {
      await onChannel(model, (channel) => channel.deleteQueue(name))
    }
  }
}

/** What is missing already, or refused, closes its channel only. */
async function onChannel(
  model: ChannelModel,
  use: (channel: Awaited<ReturnType<ChannelModel['createChannel']>>) => Promise<unknown>,
): Promise<void> {
  const channel = await model.createChannel()
  channel.on('error', () => {})
  try {
    await use(channel)
    await channel.close()
  } catch {
    // The channel is closed, and so is the matter.
  }
}

async function withRabbit(url: string, use: (model: ChannelModel) => Promise<void>): Promise<void> {
  const model = await connect(url, { timeout: CONNECT_WITHIN_MS }).catch((cause: unknown) => {
    throw new SetupError(
      `AMQP_URL is given, but RabbitMQ does not answer there: ${reason(cause)}`,
      {
        cause,
      },
    )
  })
  model.on('error', () => {})
  try {
    await use(model)
  } finally {
    await model.close()
  }
}

async function withRedis(
  url: string,
  use: (redis: Redis | Cluster) => Promise<void>,
): Promise<void> {
  let last: unknown
  const redis = createRedis(parseGiven(url), (error) => {
    last = error
  })
  try {
    await whenReady(redis, CONNECT_WITHIN_MS)
      .then(() => redis.ping())
      .catch((cause: unknown) => {
        throw new SetupError(
          `REDIS_URL is given, but Redis does not answer there: ${reason(last ?? cause)}`,
          {
            cause,
          },
        )
      })
    await use(redis)
  } finally {
    redis.disconnect()
  }
}

function parseGiven(url: string): RedisTarget {
  try {
    return parseRedisUrl(url)
  } catch (cause) {
    throw new SetupError(`REDIS_URL is given, but unusable: ${reason(cause)}`, { cause })
  }
}

function reason(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return reason(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}
