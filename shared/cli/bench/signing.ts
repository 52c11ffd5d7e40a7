import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { cleanGiven } from '../engines/given.ts'
import { publicJwks, readSigningKeys, type EventJwkSet } from '../../signing/event-keys.ts'
import { judgeAim } from './aims.ts'
import { openNotifier, secret, type Bench } from './bench-context.ts'
import { Caller } from './caller.ts'
import type { Child } from './child.ts'
import type { Listener } from './listener.ts'
import { hear, openListener } from './listening.ts'
import { latencies, PACE_MS, paced, revokes, type Send } from './push.ts'
import type { CaseResult } from './result.ts'
import { quantile, ratiosOf, show, showSpread, spreadOf } from './statistics.ts'

interface Side {
  readonly revoke: Send
  readonly listener: Child<Listener>
}

/** One revocation at a time, by a notifier that signs to a view that pins its key, and by a pair that does neither. */
export async function runSigning(bench: Bench): Promise<CaseResult> {
  const { engines, scope, sizes, say } = bench
  const { rounds, perRound, warmUp } = sizes.signing
  const namespace = `${engines.namespace}-s`
  scope.defer(() => cleanGiven({ ...engines, namespace, services: [] }))
  const plain = await openSide(bench)
  const signed = await openSide({ ...bench, engines: { ...engines, namespace } }, makeKey())
  const sides = [signed, plain] as const
  await sample(sides, warmUp)
  const times: [number[][], number[][]] = [[], []]
  for (let round = 1; round <= rounds; round++) {
    say(`signing: round ${round} of ${rounds}`)
    const found = await sample(sides, perRound)
    for (const [i, one] of found.entries()) times[i]?.push(one)
  }

  const p50 = times.map((all) => all.map((one) => quantile(one, 0.5)))
  const [signedP50 = [], plainP50 = []] = p50
  const ratio = ratiosOf(signedP50, plainP50)
  const [signedP99, plainP99] = times.map((all) => quantile(all.flat(), 0.99)) as [number, number]
  const [with_, without] = [spreadOf(signedP50), spreadOf(plainP50)]
  return {
    record: {
      case: 'signing',
      unit: 'ms',
      knell: { p50: with_.median, p50Range: with_.range, p99: signedP99 },
      floor: { p50: without.median, p50Range: without.range, p99: plainP99 },
      ratioToFloor: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: 'signed revoke call → applied, p50 ms',
        knell: showSpread(with_),
        floor: showSpread(without),
        ratio: `${showSpread(ratio)} × unsigned`,
        aim: judgeAim('signing.p50', ratio.median),
      },
      {
        what: 'p99 ms',
        knell: show(signedP99),
        floor: show(plainP99),
        ratio: `${show(signedP99 / plainP99)} × unsigned`,
      },
    ],
    notes: [
      `${rounds} rounds of ${perRound} of each, in turns, ${PACE_MS} ms apart; the floor is the same without EVENT_SIGNING_KEYS.`,
    ],
  }
}

function makeKey(): JsonWebKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid: 'bench' }
}

async function openSide(bench: Bench, key?: JsonWebKey): Promise<Side> {
  const keys: EventJwkSet = { keys: key === undefined ? [] : [key] }
  const notifier = await openNotifier(
    bench,
    key === undefined ? {} : { EVENT_SIGNING_KEYS: JSON.stringify(keys) },
  )
  const eventKeys = key === undefined ? {} : { eventKeys: publicJwks(readSigningKeys(keys)) }
  const listener = await openListener(bench, notifier, eventKeys)
  const caller = new Caller(notifier.url, secret, { sockets: 1 })
  bench.scope.defer(() => caller.close())
  return { revoke: revokes(caller), listener }
}

/** Sends in turns, one message at a time; the order of a pair changes each time. Returns the latencies of each side. */
async function sample(sides: readonly [Side, Side], count: number): Promise<[number[], number[]]> {
  const sent: [(readonly [string, number])[], (readonly [string, number])[]] = [[], []]
  for (const { listener } of sides) await listener.call('reset')
  for (let i = 0; i < count; i++) {
    for (const side of i % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      sent[side].push(await paced(sides[side].revoke))
    }
  }
  const times = sides.map(async ({ listener }, side) => {
    await hear(listener, 'revoked', count)
    return latencies(sent[side] ?? [], await listener.call('times', 'revoked'))
  })
  return (await Promise.all(times)) as [number[], number[]]
}
