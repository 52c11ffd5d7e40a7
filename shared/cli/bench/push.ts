import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { judgeAim } from './aims.ts'
import { openBarePublisher, type BarePublisher } from './bare.ts'
import { bareExchangeOf, openNotifier, secret, type Bench } from './bench-context.ts'
import { Caller } from './caller.ts'
import type { ChainProgram } from './bare-chain.ts'
import { openChild, type Child } from './child.ts'
import { clockMs } from './clock.ts'
import type { Listener } from './listener.ts'
import { hear, openListener } from './listening.ts'
import type { CaseResult } from './result.ts'
import { quantile, ratiosOf, show, showSpread, spreadOf } from './statistics.ts'

/** From the start of one sample to that of the next: a system that rests in between, as most do. */
export const PACE_MS: number = 8

/** Calls what sends one message, and says when the call began and under which id it will be heard. */
export type Send = () => Promise<readonly [string, number]>

/**
 * One revocation at a time: from the call to the view in another process, beside a bare message of the same
 * bytes, and beside the same bytes by the same way: HTTP, Redis, RabbitMQ, each as bare as it can be.
 */
export async function runPush(bench: Bench): Promise<CaseResult> {
  const { engines, scope, sizes, say } = bench
  const { rounds, perRound, warmUp } = sizes.push
  const notifier = await openNotifier(bench)
  const listener = await openListener(bench, notifier)
  const caller = new Caller(notifier.url, secret, { sockets: 1 })
  scope.defer(() => caller.close())
  const bare = await openBarePublisher(engines.amqpUrl, bareExchangeOf(bench))
  scope.defer(() => bare.close())

  const revoke = revokes(caller)
  await revoke()
  const body = await bodyOf(caller)
  const publish = barely(bare, body)
  const pass = revokes(await openChain(bench, body))
  await sample(listener, [revoke, publish, pass], warmUp)
  const knell: number[][] = []
  const floor: number[][] = []
  const chain: number[][] = []
  for (let round = 1; round <= rounds; round++) {
    say(`push: round ${round} of ${rounds}`)
    const [revoked = [], published = [], passed = []] = await sample(
      listener,
      [revoke, publish, pass],
      perRound,
    )
    knell.push(revoked)
    floor.push(published)
    chain.push(passed)
  }

  const p50 = [knell, floor, chain].map((all) => all.map((round) => quantile(round, 0.5)))
  const [knellP50 = [], floorP50 = [], chainP50 = []] = p50
  const ratio = ratiosOf(knellP50, floorP50)
  const [chainSpread, ratioToChain] = [spreadOf(chainP50), ratiosOf(knellP50, chainP50)]
  const chainP99 = quantile(chain.flat(), 0.99)
  const [knellP99, floorP99] = [quantile(knell.flat(), 0.99), quantile(floor.flat(), 0.99)]
  const [knellSpread, floorSpread] = [spreadOf(knellP50), spreadOf(floorP50)]
  return {
    record: {
      case: 'push',
      unit: 'ms',
      knell: {
        p50: knellSpread.median,
        p50Range: knellSpread.range,
        p99: knellP99,
        samples: rounds * perRound,
      },
      floor: { p50: floorSpread.median, p50Range: floorSpread.range, p99: floorP99 },
      peers: {
        chain: { p50: chainSpread.median, p50Range: chainSpread.range, p99: chainP99 },
      },
      ratioToFloor: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: 'revoke call → applied, p50 ms',
        knell: showSpread(knellSpread),
        floor: showSpread(floorSpread),
        ratio: `${showSpread(ratio)} × floor`,
        aim: judgeAim('push.p50', ratio.median),
      },
      {
        what: 'p99 ms',
        knell: show(knellP99),
        floor: show(floorP99),
        ratio: `${show(knellP99 / floorP99)} × floor`,
        aim: judgeAim('push.p99', knellP99 / floorP99),
      },
      {
        what: 'beside the same way, bare, p50 ms',
        knell: showSpread(knellSpread),
        peer: showSpread(chainSpread),
        ratio: `${showSpread(ratioToChain)} × bare way`,
      },
      {
        what: 'beside the same way, bare, p99 ms',
        knell: show(knellP99),
        peer: show(chainP99),
        ratio: `${show(knellP99 / chainP99)} × bare way`,
      },
    ],
    notes: [
      `${rounds} rounds of ${perRound} of each, in turns, ${PACE_MS} ms apart; the floor is a bare amqplib publish → consume of the same ${body.length} bytes.`,
      'The bare way is the least program that does as much: a node:http server that keeps the bytes in Redis by one XADD, publishes them and answers, without checking, numbering, auditing or noting anything.',
    ],
  }
}

async function openChain(bench: Bench, body: Buffer): Promise<Caller> {
  const { engines, scope } = bench
  const child = openChild<ChainProgram>('bare-chain')
  scope.defer(() => child.stop())
  const url = await child.call('start', {
    amqpUrl: engines.amqpUrl,
    redisUrl: engines.redisUrl,
    exchange: bareExchangeOf(bench),
    key: `${engines.namespace}:bench:chain`,
    body: body.toString('utf8'),
  })
  const caller = new Caller(url, secret, { sockets: 1 })
  scope.defer(() => caller.close())
  return caller
}

/** Revokes a token that nobody else has. */
export function revokes(caller: Caller): Send {
  return async () => {
    const jti = randomUUID()
    const started = clockMs()
    await caller.post('/v1/revocations', { match: { jti }, reason: 'logout' })
    return [jti, started]
  }
}

/** The bytes that a revocation has travelled as. */
async function bodyOf(caller: Caller): Promise<Buffer> {
  const answer = (await caller.get('/v1/feed?after=0-0,0-0,0-0,0-0')) as { entries: unknown[] }
  return Buffer.from(JSON.stringify(answer.entries[0]))
}

function barely(bare: BarePublisher, body: Buffer): Send {
  return async () => {
    const id = randomUUID()
    const started = clockMs()
    await bare.publish('default.revoked', id, body)
    return [id, started]
  }
}

/** Sends each in turns, one message at a time, and returns how long those of each took to be heard. */
async function sample(
  listener: Child<Listener>,
  sends: readonly Send[],
  count: number,
): Promise<number[][]> {
  await listener.call('reset')
  const sent = sends.map((): (readonly [string, number])[] => [])
  for (let i = 0; i < count; i++) {
    for (const [at, send] of sends.entries()) sent[at]?.push(await paced(send))
  }
  await hear(listener, 'revoked', count)
  await hear(listener, 'bare', count * (sends.length - 1))
  const heard = [
    ...(await listener.call('times', 'revoked')),
    ...(await listener.call('times', 'bare')),
  ]
  return sent.map((each) => latencies(each, heard))
}

export async function paced(send: Send): Promise<readonly [string, number]> {
  const started = clockMs()
  const sent = await send()
  await delay(Math.max(1, PACE_MS - (clockMs() - started)))
  return sent
}

export function latencies(
  sent: readonly (readonly [string, number])[],
  heard: readonly (readonly [string, number])[],
): number[] {
  const arrivals = new Map(heard)
  return sent.map(([id, started]) => (arrivals.get(id) ?? Number.NaN) - started)
}
