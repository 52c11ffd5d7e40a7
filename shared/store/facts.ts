import { parseTtlSteps } from '../domain/beat.ts'
import { KnellError } from '../domain/errors.ts'
import { largestTtl, planTtlChange, type TtlStep } from '../domain/max-token-ttl.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'
import { readStoreHealth } from './store-health.ts'
import { fromStore } from './stored-json.ts'

/** The layout of keys and values. A store of another one is refused, never migrated by guess. */
const SCHEMA = '1'

/**
 * Writes what this store is where it is new, and checks it where it is not.
 * @throws KnellError `store_mismatch` in plain words
 */
export async function assertFacts(store: Store): Promise<void> {
  const { facts } = store.keys
  let schema: string | null | undefined
  let shards: string | null | undefined
  try {
    await store.redis.hsetnx(facts, 'schema', SCHEMA)
    await store.redis.hsetnx(facts, 'shards', store.shards)
    ;[schema, shards] = await store.redis.hmget(facts, 'schema', 'shards')
  } catch (error) {
    throw toStoreError(error)
  }
  if (schema !== SCHEMA) {
    throw new KnellError(
      'store_mismatch',
      `The store is of schema ${schema}, this Knell speaks schema ${SCHEMA}; run the version that wrote it, or use another NAMESPACE.`,
    )
  }
  if (Number(shards) !== store.shards) {
    throw new KnellError(
      'store_mismatch',
      `The store was made with ${shards} shards, but SHARDS is ${store.shards}; the count is fixed at first start, so set SHARDS=${shards}.`,
    )
  }
}

/** What an operator should know of how this Redis keeps what it acknowledges. */
export async function storeWarnings(store: Store): Promise<string[]> {
  const { policy, isPersistent, version } = await readStoreHealth(store)
  const warnings: string[] = []
  if (policy !== 'noeviction') {
    warnings.push(
      `maxmemory-policy is ${policy}: Redis may delete revocations to make room; set it to noeviction.`,
    )
  }
  if (!isPersistent) {
    warnings.push(
      'The append-only file is off: a restart of Redis loses what it had acknowledged; set appendonly yes.',
    )
  }
  const [major = 0] = version.split('.').map(Number)
  if (major < 7) warnings.push(`Redis ${version} is too old; Knell needs 7.0 or later.`)
  return warnings
}

/** What share of `maxmemory` is used, 0 where there is no limit. */
export async function memoryShare(store: Store): Promise<number> {
  const info = await store.ask((redis) => redis.info('memory'))
  const number = (name: string): number =>
    Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1])
  const limit = number('maxmemory')
  return limit > 0 ? number('used_memory') / limit : 0
}

/** Seeds the tenant's longest token life; returns what the store keeps, which may differ. */
export async function seedMaxTokenTtl(
  store: Store,
  tenant: string,
  seconds: number,
): Promise<readonly TtlStep[]> {
  const steps: TtlStep[] = [{ from: 0, seconds }]
  const [kept] = await store.run(
    'seedTtl',
    [store.keys.shard(tenant, 0).meta],
    [JSON.stringify(steps)],
  )
  return fromStore(() => parseTtlSteps(JSON.parse(String(kept))))
}

/** Changes the tenant's longest token life: a smaller one at once, a larger one once no process can still count on the old. `act`: the text under which it is audited, in the same step. */
export async function changeMaxTokenTtl(
  store: Store,
  tenant: string,
  seconds: number,
  act = '',
): Promise<{ steps: readonly TtlStep[]; changed: boolean }> {
  const { meta, audit } = store.keys.shard(tenant, 0)
  for (;;) {
    const { at, ttl } = await store.touch(tenant, 0)
    const steps = ttl === '' ? [] : fromStore(() => parseTtlSteps(JSON.parse(ttl)))
    const now = Math.floor(at / 1000)
    if (largestTtl(steps, now) === seconds && steps.at(-1)?.seconds === seconds) {
      return { steps, changed: false }
    }
    const next = planTtlChange(steps, seconds, now)
    const result = JSON.stringify({ ok: true, maxTokenTtl: next })
    const args = [ttl, JSON.stringify(next), act, result]
    const [replaced] = await store.run('replaceTtl', [meta, audit], args)
    if (replaced === 1) return { steps: next, changed: true }
  }
}
