import type { Logger } from 'pino'
import type { Tenants } from '../config/tenants.ts'
import type { RuleStore } from '../store/rule-store.ts'
import { SharedRead } from '../store/shared-read.ts'
import type { KeySet } from '../tokens/key-set.ts'
import { RemoteKeys } from '../tokens/remote-keys.ts'
import type { KeySource } from './key-rings.ts'
import { readRevokedKeys } from './revoked-keys.ts'

interface Published {
  readonly keys: RemoteKeys
  /** Keys whose every token is dead, as the store had it a moment ago. */
  revoked: ReadonlySet<string>
  readonly read: SharedRead<ReadonlySet<string>>
}

export interface PublishedKeysOptions {
  readonly tenants: Tenants
  readonly rules: RuleStore
  readonly shards: number
  readonly log: Logger
}

/** How old what is known of revoked keys may be. */
const MAX_AGE_MS = 1000

/** The keys of tenants whose identity provider publishes them. */
export class PublishedKeys implements KeySource {
  readonly #published = new Map<string, Published>()

  constructor({ tenants, rules, shards, log }: PublishedKeysOptions) {
    for (const { tenant, jwksUri } of tenants.values()) {
      if (jwksUri === undefined) continue
      const keys = new RemoteKeys({
        url: jwksUri,
        isRevoked: (kid) => this.#published.get(tenant)?.revoked.has(kid) === true,
        onProblem: (error) => log.warn({ tenant, code: error.code }, error.message),
      })
      const read = new SharedRead(() =>
        readRevokedKeys(rules, { tenant, kids: keys.published, shards }),
      )
      this.#published.set(tenant, { keys, revoked: new Set(), read })
    }
  }

  start(): void {
    for (const { keys } of this.#published.values()) void keys.start()
  }

  stop(): void {
    for (const { keys } of this.#published.values()) keys.stop()
  }

  async keySet(tenant: string, fresh: boolean): Promise<KeySet | undefined> {
    const published = this.#published.get(tenant)
    if (published === undefined) return undefined
    const { keys, read } = published
    if (fresh) await keys.refetch()
    published.revoked = await read.read(fresh ? 0 : MAX_AGE_MS)
    return keys
  }

  mayLack(tenant: string): boolean {
    return this.#published.get(tenant)?.keys.isCooling === true
  }
}
