import { freshId, h } from '../dom.ts'

/** Fields of forms, each with its label. */

export interface Field {
  readonly element: HTMLElement
  value(): string
}

export function field(label: string, input: HTMLElement, hint?: string): HTMLElement {
  const id = freshId('field')
  input.id = id
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    input,
    hint === undefined ? null : h('p', { class: 'hint' }, hint),
  )
}

export function select(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  chosen: string,
): Field {
  const input = h(
    'select',
    {},
    ...options.map(([value, text]) => h('option', { value, selected: value === chosen }, text)),
  )
  return { element: field(label, input), value: () => input.value }
}

export function reasonField(reasons: readonly string[], chosen: string): Field {
  return select(
    'Reason',
    reasons.map((reason) => [reason, reason]),
    chosen,
  )
}

/** What goes to the audit trail and nowhere else. */
export function noteField(): Field {
  const input = h('input', { autocomplete: 'off', maxlength: '500' })
  return { element: field('Note for the audit trail', input), value: () => input.value.trim() }
}
