import type { RedisClient } from '../../../shared/store/store.ts'

/** What may change whoever is refused: records of what was refused, the answer for who asks the same again, what is still to be sent, and sweeps. */
const MOVING = /:(?:c:[^:]*|audit|traffic|bulk|logins|auditcut|unsent:[re]|sweeps|sweeps:begun)$/
const CLOCKS: readonly string[] = ['now', 'beat', 'beatAt']

export type StoreDump = ReadonlyMap<string, string>

/** Everything that a namespace has in the store but for that, clocks and jobs. */
export async function dumpStore(redis: RedisClient, namespace: string): Promise<StoreDump> {
  const keys = (await redis.keys(`${namespace}:*`)).filter((key) => !MOVING.test(key)).sort()
  const dump = await Promise.all(
    keys.map(async (key): Promise<[string, string]> => {
      if (!key.endsWith(':meta')) return [key, toHex(await redis.dumpBuffer(key))]
      const fields = Object.entries(await redis.hgetall(key)).sort(([a], [b]) => (a < b ? -1 : 1))
      return [key, JSON.stringify(fields.filter(([name]) => !CLOCKS.includes(name)))]
    }),
  )
  return new Map(dump)
}

/** Where two dumps differ. */
export function differences(before: StoreDump, after: StoreDump): string[] {
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].filter((key) => before.get(key) !== after.get(key))
}

function toHex(bytes: Buffer | null): string {
  return bytes === null ? 'gone' : bytes.toString('hex')
}
