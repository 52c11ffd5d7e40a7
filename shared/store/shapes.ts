import { MAX_SHAPES, STANDING_SHAPES, shapeOf, type Match } from '../domain/claims.ts'
import { KnellError } from '../domain/errors.ts'
import { cutoffKindOf } from './changes.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'

/** A shape is admitted a little longer than its rule can live. */
const SHAPE_SLACK_SECONDS = 600
/** How many uncommon shapes there may be; the empty one is not counted among the standing. */
const LIMIT = MAX_SHAPES - (STANDING_SHAPES.length - 1)

interface Shaped {
  readonly match: Match
  readonly ttlSeconds: number
}

/**
 * Admits the claim names of a match for as long as a rule of it may live, before the rule is made.
 * `from` (NumericDate): when the rule begins to live, where that is later than now.
 * @throws KnellError `too_many_shapes`
 */
export async function admitShape(
  store: Store,
  tenant: string,
  { match, ttlSeconds }: Shaped,
  from = 0,
): Promise<void> {
  const shape = shapeOf(match)
  if (STANDING_SHAPES.includes(shape)) return
  const now = Math.floor((await store.now(tenant)) / 1000)
  const forEver = cutoffKindOf(match) === 'kid'
  const until = forEver ? '+inf' : Math.max(now, from) + 2 * ttlSeconds + SHAPE_SLACK_SECONDS
  const keys = store.keys.shard(tenant, 0)
  const [admitted] = await store.run('admitShape', [keys.meta, keys.shapes], [shape, until, LIMIT])
  if (admitted !== 1) throw tooManyShapes()
}

/** Whether the shape of a match would be admitted, found without writing. @throws KnellError `too_many_shapes` */
export async function assertShape(store: Store, tenant: string, { match }: Shaped): Promise<void> {
  const shape = shapeOf(match)
  if (STANDING_SHAPES.includes(shape)) return
  const now = Math.floor((await store.now(tenant)) / 1000)
  let used: string[]
  try {
    used = await store.redis.zrange(store.keys.shard(tenant, 0).shapes, now, '+inf', 'BYSCORE')
  } catch (error) {
    throw toStoreError(error)
  }
  if (!used.includes(shape) && used.length >= LIMIT) throw tooManyShapes()
}

function tooManyShapes(): KnellError {
  const standing = STANDING_SHAPES.filter((name) => name !== '').join(' · ')
  return new KnellError(
    'too_many_shapes',
    `Live rules of this tenant already use ${LIMIT} uncommon sets of claim names; use one of them or one of: ${standing}.`,
  )
}
