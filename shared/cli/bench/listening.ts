import { setTimeout as delay } from 'node:timers/promises'
import type { KnellProcess } from '../processes.ts'
import { bareExchangeOf, secret, type Bench } from './bench-context.ts'
import { openChild, type Child } from './child.ts'
import type { Heard, Listener, ListenerOptions } from './listener.ts'

const LOOK_EVERY_MS = 50
/** Nothing new for this long means that it never comes. */
const SILENCE_MS = 20_000

/** A consuming service in a process of its own. */
export async function openListener(
  bench: Bench,
  notifier?: KnellProcess,
  options: Pick<ListenerOptions, 'expiries' | 'eventKeys'> = {},
): Promise<Child<Listener>> {
  const { engines, scope } = bench
  const listener = openChild<Listener>('listener')
  scope.defer(() => listener.stop())
  await listener.call('start', {
    amqpUrl: engines.amqpUrl,
    exchange: bareExchangeOf(bench),
    ...(notifier && {
      knell: { url: notifier.url, apiKey: secret, namespace: engines.namespace },
    }),
    ...options,
  })
  return listener
}

/** Waits until so many have been heard, or throws where no more come. */
export async function hear(
  listener: Child<Listener>,
  source: 'revoked' | 'expired' | 'bare',
  count: number,
  waitMs: number = SILENCE_MS,
): Promise<Heard> {
  let last = 0
  let deadline = performance.now() + waitMs
  for (;;) {
    const heard = await listener.call('heard', source)
    if (heard.count >= count) return heard
    if (heard.count > last) deadline = Math.max(deadline, performance.now() + SILENCE_MS)
    last = heard.count
    if (performance.now() > deadline) {
      throw new Error(`Only ${heard.count} of ${count} "${source}" arrived.`)
    }
    await delay(LOOK_EVERY_MS)
  }
}
