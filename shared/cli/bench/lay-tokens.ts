import { shardOfJti } from '../../domain/shard.ts'
import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import type { Process } from '../../process/create-services.ts'
import { tokenOf } from './tokens.ts'

/** Seconds whose tokens are on their way to Redis at once: some megabytes, however many tokens there are. */
const AT_ONCE = 4
const LOOKED_AT = 5

export interface Laid {
  readonly first: number
  readonly count: number
  /** The first of the seconds over which the tokens are spread. */
  readonly base: number
  readonly seconds: number
}

/**
 * Puts millions of tokens on the wheel in a minute, by plain commands instead of the script that
 * registers; what is stored is the same, and some are asked for to see that it is. @throws Error where it is not
 */
export async function layTokens({ store, tokens }: Process, laid: Laid): Promise<void> {
  const { first, count, base, seconds } = laid
  const waiting: Promise<unknown>[] = []
  for (let i = 0; i < Math.min(seconds, count); i++) {
    const second = base + i
    const lists = Array.from({ length: store.shards }, (): string[] => [])
    for (let index = first + i; index < first + count; index += seconds) {
      const { jti, sub = '', sid = '', client_id = '' } = tokenOf(index, second)
      lists[shardOfJti(jti, store.shards)]?.push(jti, `${sub}\n${sid}\n${client_id}`)
    }
    for (const [shard, list] of lists.entries()) {
      if (list.length === 0) continue
      const keys = store.keys.shard(DEFAULT_TENANT, shard)
      waiting.push(
        store.redis.hset(keys.second(second), list),
        store.redis.zadd(keys.wheel, second, String(second)),
        store.redis.hincrby(keys.meta, 'tokens', list.length / 2),
      )
    }
    if (i % AT_ONCE === AT_ONCE - 1) await Promise.all(waiting.splice(0))
  }
  await Promise.all(waiting)
  for (let i = 0; i < Math.min(LOOKED_AT, count); i++) {
    const { jti, exp } = tokenOf(first + i, base + i)
    if (!(await tokens.isRegistered(DEFAULT_TENANT, jti, exp))) {
      throw new Error('Tokens that were laid by plain commands are not those that the store knows.')
    }
  }
}
