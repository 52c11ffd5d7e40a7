import { judgeAim } from './aims.ts'
import type { RedisClient } from '../../store/store.ts'
import type { Bench } from './bench-context.ts'
import { openFullView } from './full-view.ts'
import { openRedis } from './redis-info.ts'
import type { CaseResult } from './result.ts'
import { quantile, ratiosOf, show, showSpread, spreadOf } from './statistics.ts'
import { createMint } from './strategies/mint.ts'
import { jtiOf } from './tokens.ts'

const SET_AT_ONCE = 1000

/** What one round found, in ns. */
interface Round {
  readonly miss: number
  readonly hit: number
  readonly judge: number
  readonly set: number
  readonly exists: number
  readonly bare: number
  readonly bareThenCheck: number
  readonly verify: number
}

/** `check` with a view full of revocations, beside asking Redis about each token, and beside a `Set`. */
export async function runCheck(bench: Bench): Promise<CaseResult> {
  const { sizes, say } = bench
  const { revoked, rounds, perRound, keys, asksPerRound, verified } = sizes.check
  const redis = openRedis(bench)
  say(`check: putting ${keys} keys into Redis`)
  const keyOf = (index: number): string => `${bench.engines.namespace}:revoked:${jtiOf(index)}`
  await fill(redis, keys, keyOf)
  say(`check: booting a view with ${revoked} revoked tokens`)
  const mint = createMint()
  const { issuer, audience } = mint
  const signer = { ...mint.key, issuer, audience }
  const { view, booted, url } = await openFullView(bench, revoked, signer)
  await view.call('readView', url)
  await view.call('fillSet', revoked)

  const found: Round[] = []
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    if (round > 0) say(`check: round ${round} of ${rounds}`)
    const next = revoked + round * perRound
    const first = (round * perRound) % Math.max(1, revoked - perRound)
    const miss = await view.call('check', next, perRound, 'active')
    const judge = await view.call('judge', next, perRound)
    const set = await view.call('askSet', next, perRound)
    const hit = await view.call('check', first, perRound, 'revoked')
    const asked = 2 * Math.ceil(keys / asksPerRound)
    const asks = await exists(redis, asksPerRound, (i) => keyOf(i * asked))
    const tokens = Array.from({ length: verified }, (_, i) => mint.sign(next + i))
    const cost = await view.call('verify', tokens, signer)
    if (round > 0) found.push({ miss, judge, set, hit, exists: asks, ...cost })
  }

  const all = (name: keyof Round): number[] => found.map((round) => round[name])
  const of = (name: keyof Round): ReturnType<typeof spreadOf> => spreadOf(all(name))
  const [miss, hit, ask, set] = [of('miss'), of('hit'), of('exists'), of('set')]
  const [judge, judgeRatio] = [of('judge'), ratiosOf(all('miss'), all('judge'))]
  const ratio = ratiosOf(all('miss'), all('exists'))
  const times = 1 / ratio.median
  const verify = ratiosOf(all('verify'), all('bare'))
  const thenCheck = ratiosOf(all('bareThenCheck'), all('bare'))
  return {
    record: {
      case: 'check',
      unit: 'ns',
      knell: {
        miss: miss.median,
        missRange: miss.range,
        hit: hit.median,
        hitRange: hit.range,
        judge: judge.median,
        ratioToJudge: judgeRatio.median,
        ratioToJudgeRange: judgeRatio.range,
        verify: of('verify').median,
        ratioOfVerify: verify.median,
        ratioOfVerifyRange: verify.range,
        bareThenCheck: of('bareThenCheck').median,
        revoked,
        bytesPerJti: booted.packedBytes / revoked,
      },
      floor: { verify: of('bare').median },
      peer: { exists: ask.median, existsRange: ask.range, keys, set: set.median },
      ratioToPeer: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: 'check of a good token, ns',
        knell: showSpread(miss),
        peer: `${showSpread(set)} (Set)`,
        ratio: `${showSpread(ratiosOf(all('miss'), all('set')))} × Set`,
        aim: judgeAim('check.miss', miss.median),
      },
      {
        what: 'the same, beside a Redis EXISTS, ns',
        knell: showSpread(miss),
        peer: showSpread(ask),
        ratio: `1/${show(times)} of peer`,
        aim: judgeAim('check.exists', times),
      },
      {
        what: 'of which without freshness, ns',
        knell: showSpread(judge),
        ratio: `check is ${showSpread(judgeRatio)} × this`,
        aim: judgeAim('check.judge', judgeRatio.median),
      },
      { what: 'check of a revoked token, ns', knell: showSpread(hit) },
      {
        what: 'verify of the subscriber, ES256, ns',
        knell: showSpread(of('verify')),
        floor: showSpread(of('bare')),
        ratio: `${showSpread(verify)} × floor`,
        aim: judgeAim('check.verify', verify.median),
      },
      {
        what: 'jwt.verify, then check, ns',
        knell: showSpread(of('bareThenCheck')),
        floor: showSpread(of('bare')),
        ratio: `${showSpread(thenCheck)} × floor`,
      },
      {
        what: 'memory per revoked jti, B',
        knell: show(booted.packedBytes / revoked),
        aim: judgeAim('check.bytes', booted.packedBytes / revoked),
      },
    ],
    notes: [
      `${rounds} rounds of ${perRound} checks with ${revoked} revoked, in batches of 100 tokens that were read from JSON just before, as after a verification; the figure of a round is the median of its batches. Every answer was right. The peers are a Set of the same ids in the same process, and one Redis EXISTS after another over loopback, p50 (half of them hits, ${keys} keys).`,
      `The floor of verify is jsonwebtoken with a KeyObject that is made once, issuer and audience checked; ${verified} tokens a round, in turns of 20.`,
    ],
  }
}

async function fill(
  redis: RedisClient,
  count: number,
  keyOf: (index: number) => string,
): Promise<void> {
  for (let from = 0; from < count; from += SET_AT_ONCE) {
    const size = Math.min(SET_AT_ONCE, count - from)
    await Promise.all(Array.from({ length: size }, (_, i) => redis.set(keyOf(from + i), '1')))
  }
}

/** The p50 of one question after another, in ns. */
async function exists(
  redis: RedisClient,
  count: number,
  keyOf: (index: number) => string,
): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const key = keyOf(i)
    const started = process.hrtime.bigint()
    await redis.exists(key)
    times.push(Number(process.hrtime.bigint() - started))
  }
  return quantile(times, 0.5)
}
