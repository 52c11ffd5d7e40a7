import { CronExpressionParser } from 'cron-parser'
import type { Logger } from 'pino'
import {
  keyIn,
  rotationProblem,
  type RingKey,
  type SigningRing,
} from '../shared/domain/key-ring.ts'
import type { Audit } from '../shared/http/audit.ts'
import type { KeyRings } from '../shared/keys/key-rings.ts'
import { shardOfMatch } from '../shared/domain/shard.ts'
import type { Lives } from '../shared/store/lives.ts'
import type { RuleStore } from '../shared/store/rule-store.ts'

export interface RingParts {
  readonly rings: KeyRings
  readonly rules: RuleStore
  readonly shards: number
  /** The tenants that issue. */
  readonly tenants: readonly string[]
  readonly livesOf: (tenant: string) => Promise<Lives>
  /** When the next key begins to sign (UTC). */
  readonly cron: string
  readonly audit: Audit
  readonly log: Logger
}

/** A key whose rule is missing for longer than this had one, which was restored and pruned. */
const MENDED_SECONDS = 86_400

/** Whether a firing of `cron` lies after a key began to sign, up to `now` (NumericDates). */
export function isRotationDue(cron: string, activeAt: number, now: number): boolean {
  const from = new Date(activeAt * 1000)
  const next = CronExpressionParser.parse(cron, { currentDate: from, tz: 'UTC' }).next()
  return next.getTime() <= now * 1000
}

/**
 * The part of a sweep that keeps the rings of signing keys: lets the next key sign when it is time,
 * retires what has signed nothing that is alive, and mends what a crash, or a rule made elsewhere, has
 * left half done: a revoked key has its rule, and no key signs that a rule has killed.
 */
export class RingKeeper {
  readonly #parts: RingParts

  constructor(parts: RingParts) {
    this.#parts = parts
  }

  /** `at`: the store's time in ms. @throws KnellError `store_*`, `config_invalid` */
  async runOnce(at: number): Promise<void> {
    const now = Math.floor(at / 1000)
    for (const tenant of this.#parts.tenants) await this.#keep(tenant, now)
  }

  async #keep(tenant: string, now: number): Promise<void> {
    const { rings, cron } = this.#parts
    let ring = await rings.read(tenant)
    if (ring.keys.length === 0) return
    if (ring.keys.some(({ retiresAt = Infinity }) => retiresAt <= now)) {
      ring = await rings.retire(tenant)
    }
    await this.#mend(tenant, ring, now)
    const active = keyIn(ring, 'active')
    if (active?.activeAt === undefined || !isRotationDue(cron, active.activeAt, now)) return
    if (rotationProblem(ring, now) !== undefined) return
    await this.#rotate(tenant, active)
  }

  /** Of several pollers that see it is due one rotates: the others find another key active. */
  async #rotate(tenant: string, active: RingKey): Promise<void> {
    const { rings, audit, log, cron } = this.#parts
    const act = audit.ownAct({ action: 'rotate-key', details: { cron } }, 'sweep')
    if (await rings.rotate(tenant, { act, instead: active.kid }))
      log.info({ tenant }, 'another key signs')
  }

  async #mend(tenant: string, ring: SigningRing, now: number): Promise<void> {
    const { rings, rules, audit, log } = this.#parts
    for (const { kid, state, endedAt = 0 } of ring.keys) {
      const isRevoked = state === 'revoked' && endedAt > now - MENDED_SECONDS
      if (!isRevoked && state !== 'active' && state !== 'next') continue
      const match = { kid }
      const shard = shardOfMatch(match, this.#parts.shards)
      const [stored] = (await rules.get(tenant, shard, [match])).rules
      if (isRevoked && stored === undefined) {
        const reason = 'key-compromise'
        const act = audit.ownAct({ action: 'revoke', match, reason }, 'sweep')
        const lives = await this.#parts.livesOf(tenant)
        await rules.revoke(tenant, { op: 'revoke', match, reason, ...lives }, { act })
        log.warn({ tenant, kid }, 'a revoked key had no rule; it has one now')
      }
      if (!isRevoked && (stored?.rule.cutoffs?.length ?? 0) > 0) {
        const act = audit.ownAct({ action: 'revoke-key', details: { kid } }, 'sweep')
        await rings.revoke(tenant, kid, act)
        log.warn({ tenant, kid }, 'a rule has killed a key that was to sign; another one is there')
      }
    }
  }
}
