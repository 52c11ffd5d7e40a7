import { explain, type Problem } from '../api.ts'
import { fill, freshId, h, type Child } from '../dom.ts'

export interface Panel {
  readonly element: HTMLElement
  readonly body: HTMLElement
  /** What stands beside the heading, such as a button or a figure. */
  readonly aside: HTMLElement
}

/** A part of a screen with a heading of its own. */
export function panel(title: string, options: { class?: string; hint?: string } = {}): Panel {
  const id = freshId('panel')
  const body = h('div', { class: 'panel-body' })
  const aside = h('div', { class: 'panel-aside' })
  const element = h(
    'section',
    { class: `panel ${options.class ?? ''}`, 'aria-labelledby': id },
    h(
      'header',
      { class: 'panel-head' },
      h('h2', { id }, title),
      options.hint === undefined ? null : h('p', { class: 'panel-hint' }, options.hint),
      aside,
    ),
    body,
  )
  return { element, body, aside }
}

/** What a part says while it has nothing to show: what would be here, and what brings it about. */
export function empty(title: string, ...more: readonly Child[]): HTMLElement {
  return h('div', { class: 'empty' }, h('p', { class: 'empty-title' }, title), ...more.map(asText))
}

function asText(child: Child): Child {
  return typeof child === 'string' ? h('p', {}, child) : child
}

/** Says in words why a part shows nothing. The rest of the page is not concerned. */
export function showProblem(body: HTMLElement, problem: Problem): void {
  const text = explain(problem)
  // Said once, not again with every event of the stream.
  if (body.dataset['problem'] === text) return
  fill(body, h('p', { class: 'part-problem' }, text))
  body.dataset['problem'] = text
}

export function clearProblem(body: HTMLElement): void {
  delete body.dataset['problem']
}
