import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import { parseRedisUrl } from '../../config/redis-url.ts'
import type { Process } from '../../process/create-services.ts'
import { livesOf } from '../../store/lives.ts'
import { createRedis } from '../../store/redis.ts'
import { openBarePublisher } from './bare.ts'
import { clockMs } from './clock.ts'
import { Scope } from './scope.ts'
import { serve } from './serve.ts'
import { openServices } from './store-services.ts'
import { jtiOf } from './tokens.ts'

/** A process that revokes without HTTP: as the notifier does, by group commit; or each by a write and a message of its own. */

export interface RevokerOptions {
  readonly env: Readonly<Record<string, string>>
  readonly amqpUrl: string
  readonly redisUrl: string
  readonly namespace: string
  readonly exchange: string
  /** Of the same length as Knell's own message of one revocation. */
  readonly bytes: number
}

type Revoke = (jti: string) => Promise<unknown>

let byGroup: Revoke | undefined
let oneByOne: Revoke | undefined
let last = 0

async function createGroup(services: Process): Promise<Revoke> {
  const settings = services.settings.tenants.get(DEFAULT_TENANT)
  if (settings === undefined) throw new Error('There is no tenant.')
  const lives = await livesOf(services, settings)
  return (jti) =>
    services.rules.revoke(DEFAULT_TENANT, {
      op: 'revoke',
      match: { jti },
      reason: 'logout',
      ...lives,
    })
}

const methods = {
  async start(options: RevokerOptions): Promise<void> {
    byGroup = await createGroup(await openServices(options.env, new Scope()))
    const redis = createRedis(parseRedisUrl(options.redisUrl), () => {})
    const bare = await openBarePublisher(options.amqpUrl, options.exchange)
    const body = Buffer.alloc(options.bytes, 'x')
    oneByOne = async (jti) => {
      await redis.set(`${options.namespace}:revoked:${jti}`, '1', 'EX', 3600)
      await bare.publish('default.revoked', jti, body)
    }
  },

  /** Revokes so many tokens, so many at once; when it began and when all were acknowledged, by `clockMs`. */
  async revoke(
    way: 'group' | 'one-by-one',
    count: number,
    callers: number,
  ): Promise<{ readonly startedMs: number; readonly answeredMs: number }> {
    const revoke = way === 'group' ? byGroup : oneByOne
    if (revoke === undefined) throw new Error('It was not started.')
    const startedMs = clockMs()
    let left = count
    const one = async (): Promise<void> => {
      while (left-- > 0) await revoke(jtiOf(++last))
    }
    await Promise.all(Array.from({ length: callers }, one))
    return { startedMs, answeredMs: clockMs() }
  },
}

export type Revoker = typeof methods

serve(methods)
