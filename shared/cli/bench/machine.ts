import { connect } from 'amqplib'
import { availableParallelism, cpus, loadavg } from 'node:os'
import type { Engines } from '../engines/engines.ts'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { createRedis } from '../../store/redis.ts'
import { infoOf } from './redis-info.ts'

/** One line that says what the figures come from. */
export async function describeMachine(engines: Engines): Promise<string> {
  const redis = createRedis(parseRedisUrl(engines.redisUrl), () => {})
  const model = await connect(engines.amqpUrl, { timeout: 5000 })
  model.on('error', () => {})
  try {
    const { version } = model.connection.serverProperties
    return [
      `${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores`,
      `Node ${process.versions.node}`,
      `Redis ${await infoOf(redis, 'redis_version')} (AOF ${(await infoOf(redis, 'aof_enabled')) === '1' ? 'on' : 'off'})`,
      `RabbitMQ ${version}`,
      `engines: ${engines.source}`,
      `load before: ${(loadavg()[0] ?? 0).toFixed(1)}`,
    ].join(' · ')
  } finally {
    redis.disconnect()
    await model.close()
  }
}
