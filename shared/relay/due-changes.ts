import pLimit from 'p-limit'
import type { Logger } from 'pino'
import type { AuditAct } from '../domain/audit-record.ts'
import { isKnellError } from '../domain/errors.ts'
import { noteDue, takeDue, type DueShard } from '../store/due-index.ts'
import type { Lives } from '../store/lives.ts'
import type { ScheduleStore } from '../store/schedule-store.ts'
import type { Store } from '../store/store.ts'

/** Makes the text under which what Knell does by itself is audited; undefined where nothing is. */
export interface OwnActs {
  ownAct(act: Omit<AuditAct, 'who' | 'from'>, via: 'tick' | 'sweep'): string | undefined
}

export interface Changed {
  /** Holds whose `reviewBy` had come and that are over. */
  holds: number
  /** Schedules whose time had come and that are made. */
  schedules: number
  /** Changes that were refused; they are tried again a minute later. */
  refused: number
}

/** Shards that one pass looks into by their notes; the next pass goes on. */
const MAX_NOTED = 1000
const SHARDS_AT_ONCE = 16

/**
 * Makes what is due: outcomes of holds, and schedules. The store says in one call which shards have
 * something due, so a pass is cheap however many tenants there are; `runOnce` with `'everywhere'`
 * looks into every shard instead and rests on no note.
 */
export class DueChanges {
  readonly #store: Store
  readonly #schedules: ScheduleStore
  readonly #audit: OwnActs | undefined
  readonly #tenants: ReadonlySet<string>
  readonly #livesOf: (tenant: string) => Promise<Lives>
  readonly #log: Logger

  constructor(options: {
    store: Store
    schedules: ScheduleStore
    audit?: OwnActs
    tenants: readonly string[]
    /** The longest token life and the skew of a tenant, as they are now. */
    livesOf: (tenant: string) => Promise<Lives>
    log: Logger
  }) {
    this.#store = options.store
    this.#schedules = options.schedules
    this.#audit = options.audit
    this.#tenants = new Set(options.tenants)
    this.#livesOf = options.livesOf
    this.#log = options.log
  }

  /** One pass over everything that was due `graceMs` ago. A shard that fails is logged, and left for the next pass. */
  async runOnce(graceMs: number, where: 'noted' | 'everywhere' = 'noted'): Promise<Changed> {
    const changed: Changed = { holds: 0, schedules: 0, refused: 0 }
    const [any] = this.#tenants
    if (any === undefined) return changed
    const now = Math.floor(((await this.#store.touch(any, 0)).at - graceMs) / 1000)
    const shards =
      where === 'noted'
        ? await takeDue(this.#store, now, MAX_NOTED)
        : await this.#schedules.waiting(this.#everywhere())
    // What another set of tenants left behind waits until its tenant is declared again.
    const known = shards.filter(({ tenant }) => this.#tenants.has(tenant))
    // Several at a time, so that one tenant's many keep no other's waiting.
    await pLimit(SHARDS_AT_ONCE).map(known, async ({ tenant, shard }) => {
      try {
        await this.#runShard(tenant, shard, graceMs, changed, where === 'noted' ? 'tick' : 'sweep')
      } catch (error) {
        this.#log.warn(
          { err: error, tenant, shard },
          'due changes failed; the next pass tries again',
        )
        await noteDue(this.#store, tenant, shard, now)
      }
    })
    return changed
  }

  #everywhere(): DueShard[] {
    const shards = Array.from({ length: this.#store.shards }, (_, shard) => shard)
    return [...this.#tenants].flatMap((tenant) => shards.map((shard) => ({ tenant, shard })))
  }

  async #runShard(
    tenant: string,
    shard: number,
    graceMs: number,
    changed: Changed,
    via: 'tick' | 'sweep',
  ): Promise<void> {
    for (;;) {
      const { holds, schedules, next } = await this.#schedules.due(tenant, shard, graceMs)
      if (holds.length + schedules.length === 0) {
        if (next !== undefined) await noteDue(this.#store, tenant, shard, next)
        return
      }
      const lives = await this.#livesOf(tenant)
      await Promise.all([
        ...schedules.map(async (due) => {
          const { id: cause, match, reason } = due
          const act = {
            action: 'scheduled-fired',
            match,
            cause,
            ...(reason === undefined ? {} : { reason }),
          } as const
          const text = this.#audit?.ownAct(act, via)
          const done = this.#schedules.fire(tenant, shard, due, lives, text)
          if (await this.#made(done, { tenant, id: due.id }, changed)) changed.schedules += 1
        }),
        ...holds.map(async (match) => {
          const text = this.#audit?.ownAct({ action: 'hold-ended', match }, via)
          const done = this.#schedules.outcome(tenant, shard, match, lives, text)
          if (await this.#made(done, { tenant, shard }, changed)) changed.holds += 1
        }),
      ])
    }
  }

  /** Whether a change was made. One that the script refuses stays, with a later time, for another try. */
  async #made(done: Promise<boolean>, what: object, changed: Changed): Promise<boolean> {
    try {
      return await done
    } catch (error) {
      if (!isKnellError(error) || error.retryable || error.status >= 500) throw error
      changed.refused += 1
      this.#log.error({ ...what, code: error.code }, 'a due change is refused; it is tried again')
      return false
    }
  }
}
