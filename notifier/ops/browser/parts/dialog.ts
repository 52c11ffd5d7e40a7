import { freshId, h, type Child } from '../dom.ts'

export interface Dialog {
  readonly body: HTMLElement
  readonly foot: HTMLElement
  close(): void
}

/**
 * A dialog over the page: the browser keeps the focus inside, Escape closes it, and the focus goes
 * back to what opened it.
 */
export function openDialog(title: string, ...content: readonly Child[]): Dialog {
  const opener = document.activeElement
  const id = freshId('dialog')
  const body = h('div', { class: 'dialog-body' }, ...content)
  const foot = h('div', { class: 'dialog-foot' })
  const element = h(
    'dialog',
    { 'aria-labelledby': id },
    h(
      'div',
      { class: 'dialog-head' },
      h('h2', { id }, title),
      h(
        'button',
        {
          type: 'button',
          class: 'quiet small',
          onclick: () => element.close(),
          'aria-label': 'Close',
        },
        '✕',
      ),
    ),
    body,
    foot,
  )
  element.addEventListener('close', () => {
    element.remove()
    // What opened it may be gone, where what is shown has changed meanwhile.
    const back = opener?.isConnected === true ? opener : document.getElementById('main')
    if (back instanceof HTMLElement) back.focus()
  })
  document.body.append(element)
  element.showModal()
  return { body, foot, close: () => element.close() }
}
