import { call, explain, type Answer } from '../api.ts'
import { fill, h, type Child } from '../dom.ts'
import { openDialog } from '../parts/dialog.ts'
import { mark, type Tone } from '../parts/status.ts'
import type { DryRun } from '../rules.ts'

export interface Confirmation<T> {
  readonly title: string
  /** What it would do, found out before anything is done; it may fail, and then nothing can be done. */
  readonly preview: () => Promise<Answer<readonly Child[]>>
  /** What the button says that does it. */
  readonly act: string
  readonly isDanger?: boolean
  /** Fields whose values go along, between the preview and the buttons. */
  readonly fields?: readonly HTMLElement[]
  /** A word that must be typed first; undefined where there is none. */
  readonly word?: string | undefined
  readonly run: () => Promise<Answer<T>>
  readonly result: (body: T) => { readonly tone: Tone; readonly text: string }
}

/** Asks before anything is done, and shows what it would reach; then does it and says what came of it. */
export function confirm<T>(options: Confirmation<T>): void {
  const { title, preview, fields = [], word } = options
  const shown = h(
    'div',
    { class: 'blast', 'aria-busy': 'true' },
    h('p', {}, 'Finding out what it would do …'),
  )
  const message = h('div', { class: 'dialog-result', role: 'status' })
  const act = h(
    'button',
    { type: 'button', class: options.isDanger === true ? 'danger' : 'primary', disabled: true },
    options.act,
  )
  const typed = h('input', { id: 'confirm-word', autocomplete: 'off', spellcheck: 'false' })
  const gate =
    word === undefined
      ? null
      : h(
          'div',
          { class: 'field' },
          h('label', { for: 'confirm-word' }, `Type ${word} to go on`),
          typed,
        )
  const dialog = openDialog(title, shown, ...fields, gate, message)
  const cancel = h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel')
  dialog.foot.append(cancel, act)
  let isKnown = false
  const judge = (): void => {
    act.disabled = !isKnown || (word !== undefined && typed.value.trim() !== word)
  }
  typed.addEventListener('input', judge)
  act.addEventListener('click', () => void run())
  void find()

  async function find(): Promise<void> {
    const answer = await preview()
    shown.removeAttribute('aria-busy')
    if (!answer.ok) return say('bad', explain(answer.problem), [shown])
    fill(shown, ...answer.body)
    isKnown = true
    judge()
    return undefined
  }

  async function run(): Promise<void> {
    act.disabled = true
    fill(message, h('p', {}, 'Doing it …'))
    const answer = await options.run()
    if (!answer.ok) {
      say('bad', explain(answer.problem))
      act.disabled = false
      return
    }
    document.dispatchEvent(new Event('knell-changed'))
    const { tone, text } = options.result(answer.body)
    say(tone, text, [shown, ...fields, ...(gate === null ? [] : [gate])])
    act.remove()
    cancel.textContent = 'Done'
    cancel.focus()
  }

  /** Shows what came of it, in the place of what no longer counts. */
  function say(tone: Tone, text: string, gone: readonly HTMLElement[] = []): void {
    fill(message, h('p', { class: `outcome outcome-${tone}` }, mark(tone), h('span', {}, text)))
    for (const element of gone) element.remove()
  }
}

/** A dry run of a call, as a preview of it. */
export async function dryRun(
  path: string,
  body: object,
  words: (answer: DryRun) => readonly Child[],
): Promise<Answer<readonly Child[]>> {
  const answer = await call<DryRun>('POST', path, { ...body, dryRun: true })
  return answer.ok ? { ok: true, body: words(answer.body) } : answer
}
