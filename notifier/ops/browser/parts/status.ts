import { h, icon } from '../dom.ts'
import { attention, bad, good, unknown } from '../icons.ts'

/** How something stands. It is always told by a shape and a word, and only then by a colour. */
export type Tone = 'good' | 'attention' | 'bad' | 'unknown'

const shapes: Readonly<Record<Tone, string>> = { good, attention, bad, unknown }

export function mark(tone: Tone): SVGSVGElement {
  return icon(shapes[tone], `icon mark mark-${tone}`)
}

/** A word with its shape, small enough for a cell of a table. */
export function badge(tone: Tone, word: string): HTMLElement {
  return h('span', { class: `badge badge-${tone}` }, mark(tone), word)
}
