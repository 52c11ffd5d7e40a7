import { judgeAim } from './aims.ts'
import { Announcing, type Announced } from './announcing.ts'
import { openNotifier, secret, type Bench } from './bench-context.ts'
import { openBullPeer } from './bull.ts'
import { Caller } from './caller.ts'
import { keyspaceEvents, rabbitTtl, type Lateness } from './expiry-peers.ts'
import { openListener } from './listening.ts'
import { awaitRest, holdRewrites, openRedis } from './redis-info.ts'
import type { CaseResult, Figures, Row } from './result.ts'
import { quantile, ratiosOf, show, showSpread, spreadOf } from './statistics.ts'

/** Enough for the peers to take everything before it is due. */
const PEER_LEAD_MS = 4000

/** From the second in which tokens are due to the `expired` event in a service: all in one second, and steadily. */
export async function runExpiry(bench: Bench): Promise<CaseResult> {
  const { scope, sizes, say } = bench
  const { rounds, tokens, jobs, warmUp, perSecond, seconds, peerTokens, otherKeys } = sizes.expiry
  const redis = openRedis(bench)
  await holdRewrites(bench, redis)
  const notifier = await openNotifier(bench)
  const listener = await openListener(bench, notifier, { expiries: true })
  const caller = new Caller(notifier.url, secret, { sockets: 1 })
  scope.defer(() => caller.close())
  const peer = await openBullPeer(bench)
  const announcing = new Announcing(caller, listener, say)

  say(`expiry: warming up with ${warmUp} tokens`)
  await announcing.run(warmUp, 1)
  await peer.publishing(Math.ceil(jobs / 10))
  const runs: Announced[] = []
  const publishing: number[] = []
  const idle: number[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`expiry: round ${round} of ${rounds}: ${tokens} tokens`)
    await awaitRest(redis)
    runs.push(await announcing.run(tokens, 1))
    say(`expiry: round ${round} of ${rounds}: ${jobs} BullMQ jobs`)
    await awaitRest(redis)
    publishing.push(await peer.publishing(jobs))
    idle.push(await peer.idle(jobs))
  }
  say(`expiry: ${perSecond} tokens due in each of ${seconds} seconds`)
  const { lateMs } = await announcing.run(perSecond * seconds, seconds)
  const steady: Lateness = { lateMs, lostShare: 0 }
  const load = { count: peerTokens, seconds, leadMs: PEER_LEAD_MS }
  say(`expiry: ${peerTokens} messages with a TTL in RabbitMQ`)
  const ttl = await rabbitTtl(bench, load)
  say(`expiry: ${peerTokens} keys with an expiry in Redis, beside ${otherKeys} others`)
  const events = await keyspaceEvents(bench, load, otherKeys)

  const rates = runs.map((run) => run.perSecond)
  const knell = spreadOf(rates)
  const [withPublish, without] = [spreadOf(publishing), spreadOf(idle)]
  const ratio = ratiosOf(rates, publishing)
  const median = (name: Exclude<keyof Announced, 'lateMs'>): number =>
    spreadOf(runs.map((run) => run[name])).median
  const p99 = quantile(lateMs, 0.99)
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
        ...figuresOf(steady),
      },
      peer: {
        perSecond: withPublish.median,
        perSecondRange: withPublish.range,
        jobs,
        withoutPublishing: without.median,
      },
      peers: {
        rabbitTtl: figuresOf(ttl),
        ...(events && { keyspaceEvents: figuresOf(events) }),
      },
      ratioToPeer: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: 'announced end to end, tokens/s',
        knell: showSpread(knell),
        aim: judgeAim('expiry.perSecond', knell.median),
      },
      {
        what: 'the same, beside a BullMQ job each',
        knell: showSpread(knell),
        peer: showSpread(withPublish),
        ratio: `${showSpread(ratio)} × peer`,
        aim: judgeAim('expiry.jobs', ratio.median),
      },
      { what: 'jobs that do nothing, jobs/s', knell: '', peer: showSpread(without) },
      {
        what: 'first, last event late by, ms',
        knell: `${show(median('firstLateMs'))}, ${show(median('lastLateMs'))}`,
      },
      { what: 'registered over HTTP, tokens/s', knell: show(median('registeredPerSecond')) },
      {
        what: `${show(perSecond)} due each second: late by p50, p99, ms`,
        knell: latenessOf(steady),
        aim: judgeAim('expiry.late', p99),
      },
      peerRow('RabbitMQ TTL: late by p50, p99, ms', ttl),
      ...(events === undefined ? [] : [peerRow('keyspace events: late by p50, p99, ms', events)]),
    ],
    notes: [
      `${rounds} rounds of ${tokens} tokens due in one second, with one subscriber. The peer is one BullMQ delayed job per token (${jobs} of them due at once, 100 at a time), each of which publishes one confirmed message to one consumer. A private Redis does not rewrite its log meanwhile.`,
      `Lateness is from the second of exp to the handler in the service, over ${seconds} seconds. Its peers have ${peerTokens} tokens over as many seconds, their due times in no order: a RabbitMQ message each with a TTL, dead-lettered to one consumer, and a Redis key each with expired events, beside ${show(otherKeys)} other live keys. Lost is what nobody heard of within 10 s of the last due time; all that happens while a listener is away is lost besides.`,
    ],
  }
}

function latenessOf({ lateMs }: Lateness): string {
  if (lateMs.length === 0) return 'none came'
  return `${show(quantile(lateMs, 0.5))}, ${show(quantile(lateMs, 0.99))}`
}

function peerRow(what: string, lateness: Lateness): Row {
  const lost = `${show(100 * lateness.lostShare)} % lost`
  return { what, knell: '', peer: latenessOf(lateness), ratio: lost }
}

function figuresOf({ lateMs, lostShare }: Lateness): Figures {
  const late =
    lateMs.length === 0
      ? {}
      : { lateP50Ms: quantile(lateMs, 0.5), lateP99Ms: quantile(lateMs, 0.99) }
  return { ...late, lostShare }
}
