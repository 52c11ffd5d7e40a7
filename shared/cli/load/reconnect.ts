import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { openNotifier, secret, type Bench } from '../bench/bench-context.ts'
import { openChild, type Child } from '../bench/child.ts'
import { openCaller } from './actors.ts'
import type { CrowdMember, CrowdState } from './crowd-member.ts'
import { Promises, type LoadResult } from './load-case.ts'

const LOOK_EVERY_MS = 100
const AWAY_MS = 3000
/** From RabbitMQ's answering again until every instance is connected, ms. */
const BACK_WITHIN_MS = 60_000
/** A view that is fresh has heard a beat, or pulled, within this time. */
const FRESH_MS = 6000

/** Very many instances that lose RabbitMQ at once, and find it again at once. */
export async function runReconnect(bench: Bench, quick: boolean): Promise<LoadResult> {
  const { instances, processes } = quick
    ? { instances: 20, processes: 2 }
    : { instances: 500, processes: 4 }
  const { engines, say } = bench
  const { rabbit } = engines
  if (rabbit === undefined)
    throw new Error('This case restarts RabbitMQ, so it needs one of its own.')
  const notifier = await openNotifier(bench)
  const caller = openCaller(bench, notifier.url, 4)
  const crowd: Child<CrowdMember>[] = []
  say(`reconnect: ${instances} instances in ${processes} processes connect`)
  for (let i = 0; i < processes; i++) {
    const member = openChild<CrowdMember>('../load/crowd-member')
    bench.scope.defer(() => member.stop())
    crowd.push(member)
    const { amqpUrl, namespace } = engines
    const share = Math.ceil(instances / processes)
    const options = { instances: share, amqpUrl, urls: [notifier.url], apiKey: secret, namespace }
    await member.call('start', options)
  }
  const all = Math.ceil(instances / processes) * processes
  await until(crowd, ({ up }) => up === all, BACK_WITHIN_MS)
  const before = await stateOf(crowd)

  say('reconnect: RabbitMQ is killed')
  await rabbit.signal('SIGKILL')
  const [jti, iat] = [randomUUID(), Math.floor(Date.now() / 1000) - 60]
  const killed = performance.now()
  await caller.post('/v1/revocations', { match: { jti } })
  const pulledMs = await heard(crowd, jti, iat, all, killed)
  await delay(Math.max(0, AWAY_MS - pulledMs))
  const away = await stateOf(crowd)
  await rabbit.start()
  say('reconnect: RabbitMQ is back')
  const back = performance.now()
  const { worst, state } = await until(
    crowd,
    ({ up, oldestMs }) => up === all && oldestMs < FRESH_MS,
    BACK_WITHIN_MS,
  )
  const backMs = performance.now() - back
  const after = { jti: randomUUID(), from: performance.now() }
  await caller.post('/v1/revocations', { match: { jti: after.jti } })
  const pushedMs = await heard(crowd, after.jti, iat, all, after.from)

  const promises = new Promises()
  promises.keep(state.up === all, `${all - state.up} of ${all} instances did not come back.`)
  promises.keep(
    state.oldestMs < FRESH_MS,
    `The oldest view was ${state.oldestMs} ms old in the end.`,
  )
  promises.keep(worst.stale === 0, `${worst.stale} instances were stale for a while.`)
  const snapshots = state.snapshots - before.snapshots
  promises.keep(
    snapshots <= all * 0.02,
    `${snapshots} snapshots were taken, though nothing was lost.`,
  )
  return {
    figures: {
      instances: all,
      'heard while RabbitMQ was away, all after, ms': pulledMs,
      'oldest view while it was away, ms': away.oldestMs,
      'all connected and fresh again after, ms': backMs,
      'oldest view meanwhile, ms': worst.oldestMs,
      'snapshots taken': snapshots,
      'pulls made': state.pulls - before.pulls,
      'next revocation, in all views after, ms': pushedMs,
    },
    missed: promises.missed,
  }
}

async function stateOf(crowd: readonly Child<CrowdMember>[]): Promise<CrowdState> {
  const states = await Promise.all(crowd.map((member) => member.call('state')))
  const sum = (of: (state: CrowdState) => number): number =>
    states.reduce((total, state) => total + of(state), 0)
  return {
    up: sum(({ up }) => up),
    oldestMs: Math.max(...states.map(({ oldestMs }) => oldestMs)),
    stale: sum(({ stale }) => stale),
    snapshots: sum(({ snapshots }) => snapshots),
    pulls: sum(({ pulls }) => pulls),
  }
}

/** Looks until it is so, or the time is up; says how it is then, and how bad it was meanwhile. */
async function until(
  crowd: readonly Child<CrowdMember>[],
  isSo: (state: CrowdState) => boolean,
  withinMs: number,
): Promise<{ state: CrowdState; worst: { oldestMs: number; stale: number } }> {
  const deadline = performance.now() + withinMs
  const worst = { oldestMs: 0, stale: 0 }
  for (;;) {
    const state = await stateOf(crowd)
    worst.oldestMs = Math.max(worst.oldestMs, state.oldestMs)
    worst.stale = Math.max(worst.stale, state.stale)
    if (isSo(state) || performance.now() > deadline) return { state, worst }
    await delay(LOOK_EVERY_MS)
  }
}

/** How long after `from` the last instance refused the token, ms. */
async function heard(
  crowd: readonly Child<CrowdMember>[],
  jti: string,
  iat: number,
  all: number,
  from: number,
): Promise<number> {
  for (;;) {
    const counts = await Promise.all(crowd.map((member) => member.call('refuse', jti, iat)))
    const ms = performance.now() - from
    if (counts.reduce((sum, count) => sum + count, 0) >= all) return ms
    if (ms > BACK_WITHIN_MS) throw new Error('A revocation did not reach every instance.')
    await delay(LOOK_EVERY_MS / 10)
  }
}
