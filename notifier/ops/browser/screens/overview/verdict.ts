import { explain } from '../../api.ts'
import { fill, h, setText } from '../../dom.ts'
import { enforcementOf, lagText, nameOf, type Enforcement } from '../../enforcement.ts'
import type { Part } from '../../parts/part.ts'
import { mark } from '../../parts/status.ts'
import type { Context } from '../../screen.ts'
import { isRefused } from '../../types.ts'

/** The answer to the one question that brings somebody here: is everything enforced? */
export function verdict({ stream }: Context): Part {
  const headline = h('p', { class: 'verdict-headline' }, 'Looking …')
  const detail = h('p', { class: 'verdict-detail' })
  const sign = h('div', { class: 'verdict-sign' }, mark('unknown'))
  const [live, stale, slowest] = [h('dd'), h('dd'), h('dd')]
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
  let shown = ''
  const end = stream.on('subscribers', (data) => {
    if (isRefused(data)) {
      setText(headline, 'Unknown')
      setText(detail, explain(data.problem))
      return
    }
    const found = enforcementOf(data.subscribers)
    setText(headline, found.headline)
    setText(detail, found.detail)
    setText(live, String(found.live.length))
    setText(stale, String(found.stale.length))
    setText(slowest, slowestText(found))
    if (found.tone === shown) return
    shown = found.tone
    element.className = `verdict verdict-${found.tone}`
    fill(sign, mark(found.tone))
  })
  return { element, end }
}

function slowestText({ slowest }: Enforcement): string {
  return slowest === undefined ? '–' : `${nameOf(slowest)}: ${lagText(slowest)}`
}
