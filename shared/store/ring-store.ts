import { z } from 'zod'
import { EMPTY_RING, ringAlgorithms, type SigningRing } from '../domain/key-ring.ts'
import { KnellError } from '../domain/errors.ts'
import { SharedRead } from './shared-read.ts'
import type { Store } from './store.ts'

const ringSchema = z.object({
  v: z.literal(1),
  keys: z.array(
    z.object({
      kid: z.string(),
      alg: z.enum(ringAlgorithms),
      state: z.enum(['next', 'active', 'retiring', 'retired', 'revoked']),
      createdAt: z.number(),
      activeAt: z.number().optional(),
      endedAt: z.number().optional(),
      retiresAt: z.number().optional(),
      jwk: z.record(z.string(), z.unknown()).optional(),
      sealed: z.string().optional(),
    }),
  ),
})

/** A ring with the text it was read from, by which it is replaced. */
export interface StoredRing {
  readonly ring: SigningRing
  readonly text: string
}

/** What is done to a ring: `act` is the text under which it is audited, in the same step. */
export interface RingChange {
  readonly plan: (ring: SigningRing, now: number) => SigningRing | Promise<SigningRing>
  readonly act?: string | undefined
}

/** The rings of signing keys of all tenants, one text each. */
export class RingStore {
  readonly #store: Store
  readonly #reads = new Map<string, SharedRead<StoredRing>>()

  constructor(store: Store) {
    this.#store = store
  }

  /** The ring as it is, or was at most `maxAgeMs` ago. @throws KnellError `store_*` */
  read(tenant: string, maxAgeMs = 0): Promise<StoredRing> {
    let read = this.#reads.get(tenant)
    if (read === undefined) {
      read = new SharedRead(() => this.#read(tenant))
      this.#reads.set(tenant, read)
    }
    return read.read(maxAgeMs)
  }

  async #read(tenant: string): Promise<StoredRing> {
    const { ring: key } = this.#store.keys.shard(tenant, 0)
    const text = (await this.#store.ask((redis) => redis.get(key))) ?? ''
    return { ring: parseRing(text), text }
  }

  /** Changes the ring by a plan, made anew where another process was faster. Answers what it then is. @throws KnellError `store_*`, or what the plan throws */
  async change(
    tenant: string,
    { plan, act = '' }: RingChange,
  ): Promise<{ ring: SigningRing; changed: boolean }> {
    const { meta, ring: key, audit } = this.#store.keys.shard(tenant, 0)
    for (;;) {
      const { at } = await this.#store.touch(tenant, 0)
      const before = await this.read(tenant)
      const ring = await plan(before.ring, Math.floor(at / 1000))
      if (ring === before.ring) return { ring, changed: false }
      const result = JSON.stringify({ ok: true })
      const args = [before.text, JSON.stringify(ring), act, result]
      const [replaced] = await this.#store.run('replaceRing', [meta, key, audit], args)
      if (replaced === 1) return { ring, changed: true }
    }
  }
}

function parseRing(text: string): SigningRing {
  if (text === '') return EMPTY_RING
  const parsed = ringSchema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data as SigningRing
  throw new KnellError(
    'store_mismatch',
    'The signing keys in the store are of another version of Knell.',
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
