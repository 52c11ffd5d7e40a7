import { randomBytes } from 'node:crypto'
import { knellEnv, openNotifier, type Bench } from '../bench/bench-context.ts'
import { openChild } from '../bench/child.ts'
import { jtiOf } from '../bench/tokens.ts'
import { openCaller, openWatcher } from './actors.ts'
import type { Flood } from './flood.ts'
import { Promises, type LoadResult } from './load-case.ts'
import { singlesUntil } from './singles.ts'

const PACE_MS = 10
/** Somebody's script that revokes everything it has a list of. */
const SOCKETS = 64
const MOST_TIMES_CALM = 3

/** Many revocations by one caller, while another one's single revocations go on. */
export async function runBurst(bench: Bench, quick: boolean): Promise<LoadResult> {
  const { count, calm } = quick ? { count: 3000, calm: 200 } : { count: 100_000, calm: 1500 }
  const other = randomBytes(18).toString('base64url')
  const keys = `${knellEnv(bench)['API_KEYS']} other=${other}:*`
  const notifier = await openNotifier(bench, { API_KEYS: keys })
  const watcher = await openWatcher(bench, [notifier.url])
  const caller = openCaller(bench, notifier.url, 32, other)
  const options = { caller, watcher, paceMs: PACE_MS }
  await singlesUntil((made) => made >= calm / 2, options)
  bench.say('burst: in calm')
  const before = await singlesUntil((made) => made >= calm, options)

  bench.say(`burst: ${count} revocations by another caller`)
  const flood = openChild<Flood>('../load/flood')
  bench.scope.defer(() => flood.stop())
  const [url, secret] = [notifier.url, keys.slice('bench='.length).split(':')[0] ?? '']
  let isOver = false
  const flooded = flood
    .call('run', { url, secret, first: 0, count, sockets: SOCKETS })
    .finally(() => {
      isOver = true
    })
  const during = await singlesUntil(() => isOver, options)
  const { ms, again } = await flooded

  const iat = Math.floor(Date.now() / 1000) - 60
  const some = Array.from({ length: 1000 }, (_, i) => Math.floor((i * count) / 1000))
  const said = await watcher.call(
    'check',
    some.map((index) => ({ jti: jtiOf(index), iat, exp: iat + 3600 })),
  )
  const promises = new Promises()
  const missing = said.filter(({ code }) => code !== 'revoked').length
  promises.keep(missing === 0, `${missing} of ${some.length} samples of the burst are not revoked.`)
  const ratio = during.pushP99 / before.pushP99
  promises.keep(
    quick || ratio <= MOST_TIMES_CALM,
    `The p99 of single revocations rose to ${ratio.toFixed(1)} times that of calm.`,
  )
  return {
    figures: {
      revocations: count,
      'per second': (count * 1000) / ms,
      'sent again': again,
      'singles in calm': before.count,
      'call p99 in calm, ms': before.callP99,
      'applied p50 in calm, ms': before.pushP50,
      'applied p99 in calm, ms': before.pushP99,
      'singles in the burst': during.count,
      'call p99 in the burst, ms': during.callP99,
      'applied p50 in the burst, ms': during.pushP50,
      'applied p99 in the burst, ms': during.pushP99,
      'p99, times calm': ratio,
    },
    missed: promises.missed,
  }
}
