import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Caller } from '../bench/caller.ts'
import type { Child } from '../bench/child.ts'
import { clockMs } from '../bench/clock.ts'
import { quantile } from '../bench/statistics.ts'
import type { Watcher } from './watcher.ts'

/** The last ones may still be on their way. */
const ARRIVE_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 50

/** How long single revocations took, ms: until the answer, and until a view in another process had applied them. */
export interface Singles {
  readonly count: number
  readonly callP50: number
  readonly callP99: number
  readonly pushP50: number
  readonly pushP99: number
}

/**
 * Revokes one token after the other, at a steady pace whatever the answers take, until `isOver`.
 * @throws where one never arrived
 */
export async function singlesUntil(
  isOver: (made: number) => boolean,
  options: {
    readonly caller: Caller
    readonly watcher: Child<Watcher>
    readonly paceMs: number
    readonly tenant?: () => string
  },
): Promise<Singles> {
  const { caller, watcher, paceMs, tenant } = options
  await watcher.call('times')
  const began = new Map<string, number>()
  const callMs: number[] = []
  const underWay = new Set<Promise<void>>()
  const one = async (): Promise<void> => {
    const jti = randomUUID()
    const started = clockMs()
    began.set(jti, started)
    await caller.post('/v1/revocations', {
      match: { jti },
      reason: 'logout',
      ...(tenant && { tenant: tenant() }),
    })
    callMs.push(clockMs() - started)
  }
  while (!isOver(began.size)) {
    const sent: Promise<void> = one().finally(() => underWay.delete(sent))
    underWay.add(sent)
    await delay(paceMs)
  }
  await Promise.all(underWay)
  const arrived = new Map<string, number>()
  const deadline = performance.now() + ARRIVE_WITHIN_MS
  while (arrived.size < began.size) {
    for (const [jti, at] of await watcher.call('times')) arrived.set(jti, at)
    if (performance.now() > deadline) {
      throw new Error(`Of ${began.size} single revocations ${arrived.size} reached the view.`)
    }
    await delay(LOOK_EVERY_MS)
  }
  const pushMs = [...began].map(([jti, at]) => (arrived.get(jti) ?? Infinity) - at)
  return {
    count: began.size,
    callP50: quantile(callMs, 0.5),
    callP99: quantile(callMs, 0.99),
    pushP50: quantile(pushMs, 0.5),
    pushP99: quantile(pushMs, 0.99),
  }
}
