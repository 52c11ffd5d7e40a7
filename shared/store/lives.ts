import { largestTtl } from '../domain/max-token-ttl.ts'
import type { FeedStore } from './feed-store.ts'
import type { Store } from './store.ts'

/** What decides how far a cut-off reaches and how long its rule is kept. */
export interface Lives {
  /** The longest life that a token of the tenant alive now, or made from now on, may have. */
  readonly ttlSeconds: number
  /** How far the issuer's clock may be ahead. */
  readonly skewSeconds: number
}

export async function livesOf(
  { feed, store }: { readonly feed: FeedStore; readonly store: Store },
  tenant: {
    readonly tenant: string
    readonly maxTokenTtlSeconds: number
    readonly issuerSkewSeconds: number
  },
): Promise<Lives> {
  const steps = await feed.maxTokenTtl(tenant.tenant)
  const now = Math.floor((await store.now(tenant.tenant)) / 1000)
  return {
    ttlSeconds: largestTtl(steps, now) ?? tenant.maxTokenTtlSeconds,
    skewSeconds: tenant.issuerSkewSeconds,
  }
}
