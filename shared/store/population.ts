import pLimit from 'p-limit'
import type { Tail } from '../domain/beat.ts'
import type { Position } from '../domain/position.ts'
import type { Instance, InstanceStore } from './instance-store.ts'
import { readTails } from './read-tails.ts'
import type { Store } from './store.ts'
import { thisMoment } from '../process/this-moment.ts'

/** An instance of one tenant, with how far it is behind. */
export interface Seen {
  readonly tenant: string
  readonly instance: Instance
  /** How long ago it joined, ms. */
  readonly ageMs: number
  /** Silent for longer than it may let tokens in: it is waited for no more. */
  readonly isGone: boolean
  /** The age, ms, of the newest store state it said to contain; null before it said so. */
  readonly staleMs: number | null
  /** The entries of revocations it has not said to have applied; null where it speaks of another term, or said nothing. */
  readonly behind: number | null
}

/** Who listens, in all tenants. */
export interface Population {
  /** Whether every instance that lives has had the time to be heard of; not so where some tenant's part of the store has just begun a new term, as one that was emptied has. */
  readonly isSettled: boolean
  readonly seen: readonly Seen[]
}

/** Few enough that a revocation need not wait behind them. */
const AT_ONCE = 8

/**
 * Every instance of every tenant, and how far each has come. Tenants without any, which are most
 * where there are many, cost one plain read.
 * @throws KnellError `store_*`
 */
export async function readPopulation(
  store: Store,
  instances: InstanceStore,
  tenants: readonly string[],
): Promise<Population> {
  const answers = await store.readAll(
    tenants.flatMap((tenant): [string, ...string[]][] => {
      const { instances, meta } = store.keys.shard(tenant, 0)
      return [
        ['hlen', instances],
        ['hget', meta, 'term'],
      ]
    }),
  )
  const now = store.clock.isSet ? store.clock.latest(thisMoment()) : 0
  const isSettled = tenants.every((_, i) => {
    const term = answers[2 * i + 1]
    return typeof term === 'string' && instances.isSettled(now, Number(term))
  })
  const peopled = tenants.filter((_, i) => answers[2 * i] !== 0)
  const seen = await pLimit(AT_ONCE).map(peopled, async (tenant) => {
    // The tails first: what an instance has applied since cannot make it look behind.
    const tails = await readTails(store, tenant)
    const { at, instances: all } = await instances.all(tenant)
    return all.map((instance): Seen => {
      const { asOf, applied, joinedAt } = instance
      return {
        tenant,
        instance,
        ageMs: Math.max(0, at - joinedAt),
        isGone: instances.isGone(instance),
        staleMs: asOf === 0 ? null : Math.max(0, at - asOf),
        behind: behindOf(applied, tails),
      }
    })
  })
  return { isSettled, seen: seen.flat() }
}

/** How many entries of revocations lie between what was applied and the tails; null where that cannot be told. */
export function behindOf(
  applied: readonly Position[] | undefined,
  tails: readonly Tail[],
): number | null {
  let behind = 0
  for (const [shard, { epoch, seq }] of tails.entries()) {
    const position = applied?.[shard]
    if (position === undefined || !epoch.startsWith(`${position.term}.`)) return null
    behind += Math.max(0, seq - position.seq)
  }
  return behind
}
