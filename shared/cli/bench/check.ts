import type { RedisClient } from '../../store/store.ts'
import type { Bench } from './bench-context.ts'
import { openFullView } from './full-view.ts'
import { openRedis } from './redis-info.ts'
import type { CaseResult } from './result.ts'
import { quantile, ratiosOf, show, showSpread, spreadOf } from './statistics.ts'
import { jtiOf } from './tokens.ts'

const SET_AT_ONCE = 1000

/** `check` with a view full of revocations, beside asking Redis about each token. */
export async function runCheck(bench: Bench): Promise<CaseResult> {
  const { sizes, say } = bench
  const { revoked, rounds, perRound, keys, asksPerRound } = sizes.check
  const redis = openRedis(bench)
  say(`check: putting ${keys} keys into Redis`)
  const keyOf = (index: number): string => `${bench.engines.namespace}:revoked:${jtiOf(index)}`
  await fill(redis, keys, keyOf)
  say(`check: booting a view with ${revoked} revoked tokens`)
  const { view, booted, url } = await openFullView(bench, revoked)
  await view.call('readView', url)

  const misses: number[] = []
  const judged: number[] = []
  const hits: number[] = []
  const asked: number[] = []
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    if (round > 0) say(`check: round ${round} of ${rounds}`)
    const miss = await view.call('check', revoked + round * perRound, perRound, 'active')
    const judge = await view.call('judge', revoked + round * perRound, perRound)
    const first = (round * perRound) % Math.max(1, revoked - perRound)
    const hit = await view.call('check', first, perRound, 'revoked')
    const ask = await exists(redis, asksPerRound, (i) =>
      keyOf(i * 2 * Math.ceil(keys / asksPerRound)),
    )
    if (round === 0) continue
    misses.push(miss)
    judged.push(judge)
    hits.push(hit)
    asked.push(ask)
  }

  const [miss, hit, ask] = [spreadOf(misses), spreadOf(hits), spreadOf(asked)]
  const ratio = ratiosOf(misses, asked)
  const [judge, judgeRatio] = [spreadOf(judged), ratiosOf(misses, judged)]
  const times = 1 / ratio.median
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
        revoked,
        bootMs: booted.bootMs,
      },
      peer: { exists: ask.median, existsRange: ask.range, keys },
      ratioToPeer: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: 'check of a good token, ns',
        knell: showSpread(miss),
        peer: showSpread(ask),
        ratio: `1/${show(times)} of peer`,
      },
      {
        what: 'of which without freshness, ns',
        knell: showSpread(judge),
        ratio: `check is ${showSpread(judgeRatio)} × this`,
        aim: '≤ 1.3 ×',
      },
      { what: 'check of a revoked token, ns', knell: showSpread(hit) },
      { what: `boot from a snapshot of ${show(revoked)}, ms`, knell: show(booted.bootMs) },
    ],
    notes: [
      `${rounds} rounds of ${perRound} checks of tokens fresh from JSON, with ${revoked} revoked. The peer is one Redis EXISTS after another over loopback, p50 (half of them hits, ${keys} keys).`,
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
