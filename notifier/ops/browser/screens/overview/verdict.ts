import { explain } from '../../api.ts'
import { fill, h, setText } from '../../dom.ts'
import { enforcementOf, lagText, nameOf } from '../../enforcement.ts'
import { count, time } from '../../format.ts'
import type { Part } from '../../parts/part.ts'
import { mark, type Tone } from '../../parts/status.ts'
import { toneOfVerdict } from '../../queues.ts'
import type { Context } from '../../screen.ts'
import { isRefused, type Overview, type Slowest, type Subscribers } from '../../types.ts'

interface Shown {
  readonly tone: Tone
  readonly headline: string
  readonly detail: string
  /** Null: nobody knows. */
  readonly live: number | null
  readonly stale: number | null
  readonly slowest: Slowest | null | undefined
}

/**
 * The answer to the one question that brings somebody here: is everything enforced? Of all tenants,
 * where the key is for all of them; else of the tenant that is shown.
 */
export function verdict({ stream, session }: Context): Part {
  const headline = h('p', { class: 'verdict-headline' }, 'Looking …')
  const detail = h('p', { class: 'verdict-detail' })
  const sign = h('div', { class: 'verdict-sign' }, mark('unknown'))
  const [live, stale, slowest] = [h('dd'), h('dd'), h('dd', { class: 'slowest' })]
  const element = h(
    'section',
    { class: 'verdict verdict-unknown', 'aria-label': 'Is everything enforced?' },
    sign,
    h('div', { class: 'verdict-words', role: 'status' }, headline, detail),
    h(
      'dl',
      { class: 'verdict-facts' },
      h('div', {}, h('dt', {}, 'Live instances'), live),
      h('div', {}, h('dt', {}, 'Stale'), stale),
      h('div', {}, h('dt', {}, 'Slowest'), slowest),
    ),
  )
  let tone: Tone = 'unknown'
  const show = (found: Shown): void => {
    setText(headline, found.headline)
    setText(detail, found.detail)
    setText(live, count(found.live))
    setText(stale, count(found.stale))
    setText(slowest, slowestText(found.slowest))
    if (found.tone === tone) return
    ;({ tone } = found)
    element.className = `verdict verdict-${tone}`
    fill(sign, mark(tone))
  }
  const end = session.ofAllTenants
    ? stream.on('overview', (data) =>
        isRefused(data) ? show(unknown(explain(data.problem))) : show(ofAll(data)),
      )
    : stream.on('subscribers', (data) =>
        isRefused(data) ? show(unknown(explain(data.problem))) : show(ofTenant(data)),
      )
  // What was true when it was last heard of may not be any more; it is told again with the next event.
  const endLiveness = stream.onLiveness((liveness) => {
    if (liveness.state === 'stale') show(lost(liveness.since))
  })
  return {
    element,
    end: () => {
      end()
      endLiveness()
    },
  }
}

const headlines = {
  ok: 'Enforced everywhere',
  degraded: 'Enforced, but something is wrong',
  failing: 'Not enforced everywhere',
} as const

function ofAll({ enforced }: Overview): Shown {
  const { verdict: word, reason, live, stale, slowest } = enforced
  const isAlone = word === 'ok' && live === 0
  return {
    tone: isAlone ? 'unknown' : toneOfVerdict(word),
    headline: isAlone ? 'Nobody listens yet' : headlines[word],
    detail: reason,
    live,
    stale,
    slowest,
  }
}

function ofTenant({ subscribers }: Subscribers): Shown {
  const found = enforcementOf(subscribers)
  return { ...found, live: found.live.length, stale: found.stale.length }
}

function unknown(detail: string, headline = 'Not known'): Shown {
  return { tone: 'unknown', headline, detail, live: null, stale: null, slowest: null }
}

function lost(since: number): Shown {
  const detail = 'The notifier has not been heard of since then. Services go on by their views.'
  return unknown(detail, `Not known since ${time(since)}`)
}

function slowestText(slowest: Shown['slowest']): string {
  return slowest === null || slowest === undefined ? '–' : `${nameOf(slowest)}: ${lagText(slowest)}`
}
