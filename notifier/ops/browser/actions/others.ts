import { call } from '../api.ts'
import { h } from '../dom.ts'
import { count, plural } from '../format.ts'
import { nameOf } from '../enforcement.ts'
import { caughtText } from '../sweeps.ts'
import type { DeadLetter, SweepReport } from '../types.ts'
import { confirm } from './confirm.ts'

interface Replayed {
  readonly replayed: number
  readonly skipped: number
  readonly more: boolean
}

/** Puts dead letters back into their service's queue: those chosen, or all. */
export function askReplay(
  service: string,
  letters: readonly DeadLetter[],
  isAll: boolean,
  total: number,
  onDone: () => void,
): void {
  const number = isAll ? total : letters.length
  const errors = new Set(letters.map(({ error }) => error?.message ?? 'poison'))
  confirm<Replayed>({
    title: `Replay ${plural(number, 'dead letter')} of ${service}?`,
    preview: () =>
      Promise.resolve({
        ok: true,
        body: [
          h(
            'p',
            { class: 'blast-hits' },
            `${plural(number, 'event')} of ${service} ${number === 1 ? 'goes' : 'go'} back to its handlers, each once.`,
          ),
          h(
            'p',
            {},
            'A handler that still fails gives them up again. What cannot be read (poison) is skipped and stays.',
          ),
          h(
            'p',
            { class: 'muted' },
            `They were given up with ${plural(errors.size, 'different error')}: ${[...errors].slice(0, 3).join('; ')}`,
          ),
        ],
      }),
    act: 'Replay',
    run: () =>
      call<Replayed>('POST', '/v1/dead/replay', {
        service,
        ...(isAll ? { all: true } : { ids: letters.map(({ key }) => key) }),
      }),
    result: ({ replayed, skipped, more }) => {
      onDone()
      const rest = more ? ' There are more: replay again.' : ''
      const left = skipped > 0 ? ` ${count(skipped)} skipped.` : ''
      return {
        tone: skipped > 0 || more ? 'attention' : 'good',
        text: `${count(replayed)} put back.${left}${rest}`,
      }
    },
  })
}

/** Sweeps at once, instead of at the next firing. */
export function askSweep(): void {
  confirm<{ job: string; report?: SweepReport }>({
    title: 'Sweep now?',
    preview: () =>
      Promise.resolve({
        ok: true,
        body: [
          h(
            'p',
            {},
            'A sweep looks through every shard of every tenant for what the push path missed, and repairs it. It revokes nothing and loses nothing; one more does no harm.',
          ),
        ],
      }),
    act: 'Sweep now',
    run: () => call('POST', '/v1/sweeps', { wait: true }),
    result: ({ report }) =>
      report === undefined
        ? { tone: 'attention', text: 'Asked for, but no poller has swept yet. Does one run?' }
        : { tone: 'good', text: `Swept in ${count(report.durationMs)} ms: ${caughtText(report)}.` },
  })
}

interface Removed {
  readonly removed: number
}

/** Forgets an instance that will not come back, so that nobody waits for it. */
export function askRemove(tenant: string, who: { service: string; instance: string }): void {
  const query = new URLSearchParams({ tenant, service: who.service, instance: who.instance })
  confirm<Removed>({
    title: `Remove ${nameOf(who)}?`,
    preview: () =>
      Promise.resolve({
        ok: true,
        body: [
          h(
            'p',
            {},
            'The store forgets this instance, so that no revocation waits for it any more. If it still runs it joins again by itself, with a fresh view.',
          ),
        ],
      }),
    act: 'Remove',
    isDanger: true,
    run: () => call<Removed>('DELETE', `/v1/subscribers?${query}`),
    result: ({ removed }) =>
      removed > 0
        ? { tone: 'good', text: 'Removed.' }
        : { tone: 'unknown', text: 'It was gone already.' },
  })
}
