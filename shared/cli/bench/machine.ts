import { connect } from 'amqplib'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import type { Engines } from '../engines/engines.ts'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { createRedis } from '../../store/redis.ts'
import { infoOf } from './redis-info.ts'

/** What the figures of a run come from. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly os: string
  readonly node: string
  readonly redis: string
  readonly rabbitmq: string
  readonly engines: Engines['source']
  /** How many processes wanted a core just before. */
  readonly loadBefore: number
}

export async function readMachine(engines: Engines): Promise<Machine> {
  const redis = createRedis(parseRedisUrl(engines.redisUrl), () => {})
  const model = await connect(engines.amqpUrl, { timeout: 5000 })
  model.on('error', () => {})
  try {
    const isAof = (await infoOf(redis, 'aof_enabled')) === '1'
    return {
      cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
      cores: availableParallelism(),
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      os: `${type()} ${release()}`,
      node: process.versions.node,
      redis: `${await infoOf(redis, 'redis_version')} (AOF ${isAof ? 'on' : 'off'})`,
      rabbitmq: model.connection.serverProperties.version,
      engines: engines.source,
      loadBefore: Number((loadavg()[0] ?? 0).toFixed(1)),
    }
  } finally {
    redis.disconnect()
    await model.close()
  }
}

/** The same in one line. */
export function describeMachine(machine: Machine): string {
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB`,
    machine.os,
    `Node ${machine.node}`,
    `Redis ${machine.redis}`,
    `RabbitMQ ${machine.rabbitmq}`,
    `engines: ${machine.engines}`,
    `load before: ${machine.loadBefore.toFixed(1)}`,
  ].join(' · ')
}
