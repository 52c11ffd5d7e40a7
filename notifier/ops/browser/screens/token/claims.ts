import type { DecodedToken } from '../../decode-jwt.ts'
import { h } from '../../dom.ts'
import { fullTime } from '../../format.ts'
import { panel } from '../../parts/panel.ts'

const MOMENTS = ['iat', 'exp', 'nbf', 'auth_time']

/** What the token says of itself, decoded in this browser. */
export function claimsPanel({ header, claims }: DecodedToken): HTMLElement {
  const { element, body } = panel('What the token says', {
    class: 'panel-text',
    hint: 'decoded in this browser, not verified',
  })
  const rows = [
    ...Object.entries(header).map(([name, value]) => [`header ${name}`, value] as const),
    ...Object.entries(claims),
  ]
  body.append(
    h(
      'dl',
      { class: 'claims-list' },
      ...rows.map(([name, value]) =>
        h(
          'div',
          {},
          h('dt', { class: 'mono' }, name),
          h('dd', { class: 'mono' }, textOf(name, value)),
        ),
      ),
    ),
  )
  return element
}

function textOf(name: string, value: unknown): string {
  if (typeof value === 'number' && MOMENTS.includes(name))
    return `${value} (${fullTime(value * 1000)})`
  return typeof value === 'string' ? value : JSON.stringify(value)
}
