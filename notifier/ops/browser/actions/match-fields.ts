import { fill, freshId, h } from '../dom.ts'
import type { Match } from '../format.ts'

const NAMES = ['sub', 'jti', 'sid', 'client_id', 'aud', 'kid']
const MAX_CLAIMS = 3

export interface MatchFields {
  readonly element: HTMLElement
  /** The match, or what is wrong with it. */
  read(): Match | string
  focus(): void
}

interface ClaimRow {
  readonly element: HTMLElement
  readonly name: HTMLInputElement
  readonly value: HTMLInputElement
  readonly kind: HTMLSelectElement
}

/** One to three claims with their values; none at all is the whole tenant, which has to be chosen. */
export function matchFields(preset?: Match): MatchFields {
  const list = freshId('claims')
  const rows: ClaimRow[] = []
  const holder = h('div', { class: 'claims' })
  const whole = h('input', { type: 'checkbox', id: freshId('whole'), onchange: show })
  const more = h(
    'button',
    { type: 'button', class: 'small quiet', onclick: () => add('', '') },
    '+ another claim',
  )
  const element = h(
    'fieldset',
    {},
    h('legend', {}, 'Tokens with'),
    h('datalist', { id: list }, ...NAMES.map((name) => h('option', { value: name }))),
    holder,
    h(
      'div',
      { class: 'claims-foot' },
      more,
      h('span', { class: 'check' }, whole, h('label', { for: whole.id }, 'the whole tenant')),
    ),
  )
  const presets = Object.entries(preset ?? { sub: '' })
  if (preset !== undefined && presets.length === 0) whole.checked = true
  for (const [name, value] of presets.length === 0 ? [['sub', ''] as const] : presets)
    add(name, value)

  function add(name: string, value: string | number | boolean): void {
    const row = claimRow(list, name, value, () => {
      rows.splice(rows.indexOf(row), 1)
      show()
    })
    rows.push(row)
    show()
    row.name.focus()
  }

  function show(): void {
    fill(holder, ...(whole.checked ? [] : rows.map((row) => row.element)))
    more.hidden = whole.checked || rows.length >= MAX_CLAIMS
    for (const { element: row } of rows) row.classList.toggle('only', rows.length === 1)
  }

  return {
    element,
    focus: () => rows[0]?.value.focus(),
    read() {
      if (whole.checked) return {}
      const match: Record<string, string | number | boolean> = {}
      for (const { name, value, kind } of rows) {
        const claim = name.value.trim()
        if (claim === '' || value.value === '') return 'Give each claim a name and a value.'
        const parsed = valueOf(value.value, kind.value)
        if (parsed === undefined) return `${value.value} is not a ${kind.value}.`
        match[claim] = parsed
      }
      return match
    },
  }
}

function claimRow(
  list: string,
  claim: string,
  given: string | number | boolean,
  onRemove: () => void,
): ClaimRow {
  const plain = { autocomplete: 'off', spellcheck: 'false' }
  const name = h('input', { ...plain, list, value: claim, 'aria-label': 'Claim' })
  const value = h('input', { ...plain, value: String(given), 'aria-label': 'Value' })
  const kind = h(
    'select',
    { 'aria-label': 'Type of the value' },
    ...['text', 'number', 'boolean'].map((type) =>
      h('option', { value: type, selected: type === typeOf(given) }, type),
    ),
  )
  const remove = h(
    'button',
    { type: 'button', class: 'quiet small', 'aria-label': 'Remove this claim', onclick: onRemove },
    '✕',
  )
  return { element: h('div', { class: 'claim' }, name, value, kind, remove), name, value, kind }
}

function typeOf(value: string | number | boolean): string {
  return typeof value === 'string' ? 'text' : typeof value
}

function valueOf(text: string, kind: string): string | number | boolean | undefined {
  if (kind === 'text') return text
  if (kind === 'number') return Number.isFinite(Number(text)) ? Number(text) : undefined
  return text === 'true' ? true : text === 'false' ? false : undefined
}
