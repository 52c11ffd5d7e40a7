import { recoveredIn, type Caught } from '../shared/metrics/recovered.ts'
import type { Services } from '../shared/http/services.ts'
import { SharedRead } from '../shared/store/shared-read.ts'
import type { Population } from '../shared/store/population.ts'
import type { LogTotals, Totals } from '../shared/store/totals.ts'
import type { History } from './history.ts'
import { judgeEnforcement, type Judgement } from './verdict.ts'
import { parseStored } from '../shared/store/stored-json.ts'

type Report = Partial<Caught> & { readonly at: number }

interface Sweeps {
  /** What the sweeps of the last hour found that the push path, or a service, had missed. */
  readonly caught: number
  /** The store's time (ms) at the start of the last one; null where none was in the last hour. */
  readonly lastAt: number | null
}

export interface Overview {
  readonly at: number
  readonly enforced: Judgement
  readonly push: {
    readonly p50Ms: number | null
    readonly p99Ms: number | null
    readonly count: number
    readonly hour: readonly {
      at: number
      p50Ms: number | null
      p99Ms: number | null
      count: number
    }[]
  }
  readonly revocationsPerSecond: number | null
  readonly hourRevocations: readonly { at: number; perSecond: number }[]
  readonly expiriesPerSecond: number | null
  readonly hourExpiries: readonly { at: number; perSecond: number | null }[]
  /** Null where the store does not answer, and so are the next two. */
  readonly outbox: Readonly<
    Record<'revocations' | 'expiries', { unsent: number; oldestMs: number }>
  > | null
  readonly tokensWaiting: number | null
  readonly rules: number | null
  readonly sweeps: Sweeps | null
  readonly broker: { readonly up: boolean; readonly blocked: boolean }
  readonly store: { readonly up: boolean }
}

const HOUR_MS = 3_600_000
/** Whoever looks at the same time shares what is read. */
const MAX_AGE_MS = 1000
/** Reports are as far apart as sweeps. */
const REPORTS_AGE_MS = 5000
/** An answer waits no longer than this for a store that is away. */
const PATIENCE_MS = 1500
/** Thousands of shards take longer than that to read: until they are, what was read this long ago is told. */
const TOTALS_AGE_MS = 10_000

/** What the first screen shows: is everything enforced, and how fast. Also while the store is away. */
export class Overviews {
  readonly #services: Services
  readonly #history: History
  readonly #reports: SharedRead<readonly Report[]>

  constructor(services: Services, history: History) {
    this.#services = services
    this.#history = history
    this.#reports = new SharedRead(async () => {
      const since = (await this.#now()) - HOUR_MS
      const texts = await services.upkeep.reportsSince(since)
      return texts.map((text) => parseStored(text) as Report)
    })
  }

  async #now(): Promise<number> {
    const { store, settings } = this.#services
    const [tenant = 'default'] = settings.tenants.keys()
    return store.now(tenant)
  }

  async read(): Promise<Overview> {
    const { population, totals, broker, settings } = this.#services
    const [at, people, fresh, reports] = await Promise.all([
      known(this.#now()),
      known(population.read(MAX_AGE_MS)),
      known(totals.read(MAX_AGE_MS)),
      known(this.#reports.read(REPORTS_AGE_MS)),
    ])
    const all = fresh ?? (people === undefined ? undefined : totals.latest(TOTALS_AGE_MS))
    const { hour } = this.#history
    const last = hour.at(-1)
    return {
      at: Math.round(at ?? Date.now()),
      enforced: this.#judge(people, all, settings.beatMs),
      push: {
        ...this.#history.now(),
        hour: hour.map(({ at, p50Ms, p99Ms, count }) => ({ at, p50Ms, p99Ms, count })),
      },
      revocationsPerSecond: last?.revocationsPerSecond ?? null,
      hourRevocations: hour.map(({ at, revocationsPerSecond: perSecond }) => ({ at, perSecond })),
      expiriesPerSecond: last?.expiriesPerSecond ?? null,
      hourExpiries: hour.map(({ at, expiriesPerSecond: perSecond }) => ({ at, perSecond })),
      outbox: all === undefined ? null : outboxOf(all),
      tokensWaiting: all?.waiting ?? null,
      rules: all?.rules ?? null,
      sweeps: reports === undefined ? null : sweepsOf(reports),
      broker: { up: broker.isUp, blocked: broker.isBlocked },
      store: { up: people !== undefined },
    }
  }

  #judge(
    population: Population | undefined,
    totals: Totals | undefined,
    beatMs: number,
  ): Judgement {
    const { broker } = this.#services
    return judgeEnforcement({
      population,
      unsentMs: totals?.logs.revocations.oldestMs,
      isBrokerUp: broker.isUp,
      isBrokerBlocked: broker.isBlocked,
      beatMs,
    })
  }
}

function outboxOf({ logs }: Totals): NonNullable<Overview['outbox']> {
  return { revocations: leftOf(logs.revocations), expiries: leftOf(logs.expiries) }
}

function leftOf({ unsent, oldestMs }: LogTotals): { unsent: number; oldestMs: number } {
  return { unsent, oldestMs: Math.round(oldestMs) }
}

function sweepsOf(reports: readonly Report[]): Sweeps {
  const caught = reports.flatMap((report) => Object.values(recoveredIn(report)))
  return {
    caught: caught.reduce((sum, count) => sum + count, 0),
    lastAt: reports.reduce<number | null>((last, { at }) => Math.max(last ?? at, at), null),
  }
}

/** The value, or undefined where it cannot be read in time. */
async function known<T>(reading: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS)
  })
  try {
    return await Promise.race([reading, late])
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}
