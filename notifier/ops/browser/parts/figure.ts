import { fill, h, setText, type Child } from '../dom.ts'
import { mark, type Tone } from './status.ts'

export interface Figure {
  readonly element: HTMLElement
  show(value: string, note: string, tone?: Tone): void
}

/** One number that is looked at first, with what it is and what it means. */
export function figure(label: string, more: Child = null): Figure {
  const value = h('dd', { class: 'figure-value' }, '–')
  const note = h('dd', { class: 'figure-note' })
  const sign = h('span', { class: 'figure-sign' })
  const element = h('div', { class: 'figure' }, h('dt', {}, sign, label), value, note, more)
  let shown: Tone | undefined
  return {
    element,
    show(text, noteText, tone) {
      setText(value, text)
      setText(note, noteText)
      if (tone === shown) return
      shown = tone
      fill(sign, tone === undefined ? null : mark(tone))
      element.className = tone === undefined ? 'figure' : `figure figure-${tone}`
    },
  }
}

export function figures(...all: readonly Figure[]): HTMLElement {
  return h('dl', { class: 'figures' }, ...all.map(({ element }) => element))
}
