import { connect } from 'amqplib'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { createRedis } from '../../store/redis.ts'
import { whenReady } from './when-ready.ts'

export interface EngineVersions {
  readonly rabbitmq: string
  readonly redis: string
}

/** What the servers themselves say that they are. */
export async function versionsOf(engines: {
  readonly amqpUrl: string
  readonly redisUrl: string
}): Promise<EngineVersions> {
  const model = await connect(engines.amqpUrl)
  model.on('error', () => {})
  const { version: rabbitmq } = model.connection.serverProperties
  await model.close()
  const redis = createRedis(parseRedisUrl(engines.redisUrl), () => {})
  try {
    await whenReady(redis, 10_000)
    const info = await redis.info('server')
    return { rabbitmq, redis: /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown' }
  } finally {
    redis.disconnect()
  }
}
