import { setTimeout as delay } from 'node:timers/promises'
import { openNotifier, secret, type Bench } from './bench-context.ts'
import { openBullPeer } from './bull.ts'
import { Caller } from './caller.ts'
import type { Child } from './child.ts'
import type { Listener } from './listener.ts'
import { hear, openListener } from './listening.ts'
import { awaitRest, holdRewrites, openRedis } from './redis-info.ts'
import type { CaseResult } from './result.ts'
import { ratiosOf, show, showSpread, spreadOf } from './statistics.ts'
import { tokenOf } from './tokens.ts'

/** An upload this large ends well within a server's patience. */
const PER_UPLOAD = 50_000
/** The bounds of what registering is trusted to manage, tokens a second. */
const SLOWEST_PER_SECOND = 4000
const FASTEST_PER_SECOND = 30_000

interface Announced {
  readonly perSecond: number
  readonly firstLateMs: number
  readonly lastLateMs: number
  readonly registeredPerSecond: number
}

/** Everything due in one second: from that second to the last `expired` event in a service. */
export async function runExpiry(bench: Bench): Promise<CaseResult> {
  const { scope, sizes, say } = bench
  const { rounds, tokens, jobs, warmUp } = sizes.expiry
  const redis = openRedis(bench)
  await holdRewrites(bench, redis)
  const notifier = await openNotifier(bench)
  const listener = await openListener(bench, notifier, { expiries: true })
  const caller = new Caller(notifier.url, secret, { sockets: 1 })
  scope.defer(() => caller.close())
  const peer = await openBullPeer(bench)

  let last = 0
  let guess = SLOWEST_PER_SECOND
  const announce = async (count: number): Promise<Announced> => {
    for (;;) {
      await awaitRest(redis)
      const first = last
      last += count
      const run = await announceOnce({ caller, listener, first, count, guess })
      guess = Math.min(run?.registeredPerSecond ?? guess / 2, FASTEST_PER_SECOND)
      if (run !== undefined) return run
      say('expiry: some tokens were due before they were registered; once more, with more time')
    }
  }
  say(`expiry: warming up with ${warmUp} tokens`)
  await announce(warmUp)
  await peer.publishing(Math.ceil(jobs / 10))
  const runs: Announced[] = []
  const publishing: number[] = []
  const idle: number[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`expiry: round ${round} of ${rounds}: ${tokens} tokens`)
    runs.push(await announce(tokens))
    say(`expiry: round ${round} of ${rounds}: ${jobs} BullMQ jobs`)
    await awaitRest(redis)
    publishing.push(await peer.publishing(jobs))
    idle.push(await peer.idle(jobs))
  }

  const perSecond = runs.map((run) => run.perSecond)
  const knell = spreadOf(perSecond)
  const [withPublish, without] = [spreadOf(publishing), spreadOf(idle)]
  const ratio = ratiosOf(perSecond, publishing)
  const median = (name: keyof Announced): number => spreadOf(runs.map((run) => run[name])).median
  return {
    record: {
      case: 'expiry',
      unit: 'tokens/s',
      knell: {
        perSecond: knell.median,
        perSecondRange: knell.range,
        tokens,
        firstLateMs: median('firstLateMs'),
        lastLateMs: median('lastLateMs'),
        registeredPerSecond: median('registeredPerSecond'),
      },
      peer: {
        perSecond: withPublish.median,
        perSecondRange: withPublish.range,
        jobs,
        withoutPublishing: without.median,
      },
      ratioToPeer: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: 'announced end to end, tokens/s',
        knell: showSpread(knell),
        peer: showSpread(withPublish),
        ratio: `${showSpread(ratio)} × peer`,
        aim: '≥ 100,000; ≥ 20 × peer',
      },
      {
        what: 'first event late by, ms',
        knell: show(median('firstLateMs')),
      },
      { what: 'last event late by, ms', knell: show(median('lastLateMs')) },
      { what: 'registered over HTTP, tokens/s', knell: show(median('registeredPerSecond')) },
      { what: 'jobs that do nothing, jobs/s', knell: '', peer: showSpread(without) },
    ],
    notes: [
      `${rounds} rounds of ${tokens} tokens due in one second, with one subscriber. The peer is one BullMQ delayed job per token (${jobs} of them due at once, 100 at a time), each of which publishes one confirmed message to one consumer. A private Redis does not rewrite its log meanwhile.`,
    ],
  }
}

/** Undefined where the second came before all were registered: the machine was slower than it was thought to be. */
async function announceOnce(options: {
  caller: Caller
  listener: Child<Listener>
  first: number
  count: number
  /** Tokens a second that registering is thought to manage. */
  guess: number
}): Promise<Announced | undefined> {
  const { caller, listener, first, count, guess } = options
  await listener.call('reset')
  const due = Math.ceil(Date.now() / 1000 + 2 + (1.25 * count) / guess)
  const started = performance.now()
  let registered = 0
  for (let from = 0; from < count; from += PER_UPLOAD) {
    const size = Math.min(PER_UPLOAD, count - from)
    const answer = await caller.upload('/v1/tokens', lines(first + from, size, due))
    registered += (answer as { registered: number }).registered
  }
  const registeredPerSecond = (count * 1000) / (performance.now() - started)
  await delay(Math.max(0, due * 1000 - Date.now()))
  const { count: heard, firstAt, lastAt } = await hear(listener, 'expired', registered)
  if (heard !== registered) throw new Error(`${heard} events came of ${registered} tokens.`)
  if (registered < count) return undefined
  return {
    perSecond: (count * 1000) / (lastAt - due * 1000),
    firstLateMs: firstAt - due * 1000,
    lastLateMs: lastAt - due * 1000,
    registeredPerSecond,
  }
}

function* lines(first: number, count: number, exp: number): Generator<string> {
  for (let i = first; i < first + count; i++) yield JSON.stringify({ claims: tokenOf(i, exp) })
}
