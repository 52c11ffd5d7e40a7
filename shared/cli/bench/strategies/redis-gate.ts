import { Redis } from 'ioredis'
import type { Gate, OpenGate, Verified } from './gate.ts'
import { revokedKey } from './revoked-key.ts'
import { createAdmit } from './verify.ts'

/** A list of revoked tokens in Redis, asked at every request. Calls of one turn share a pipeline, as ioredis offers. */
export const openRedisGate: OpenGate = async (options): Promise<Gate> => {
  const redis = new Redis(options.redisUrl, { enableAutoPipelining: true })
  await redis.ping()
  let calls = 0
  const ask = async ({ claims }: Verified): Promise<boolean> => {
    calls += 1
    return (await redis.exists(revokedKey(options.namespace, claims['jti']))) === 0
  }
  return {
    ask,
    admit: createAdmit(options, ask),
    calls: () => calls,
    close: () => redis.disconnect(),
  }
}
