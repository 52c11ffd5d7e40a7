import { h, setText } from '../dom.ts'
import { fadeEdge } from './fade-edge.ts'

/** What a cell shows: a text, or an element that is made anew only when its key is another. */
export type Cell = string | { readonly key: string; readonly make: () => Node }

export interface Column<T> {
  readonly title: string
  /** Numbers stand at the right, so that digits line up. */
  readonly isNumber?: boolean
  /** Left away where the screen is narrow. */
  readonly isExtra?: boolean
  readonly cell: (item: T) => Cell
}

export interface Table<T> {
  readonly element: HTMLElement
  show(items: readonly T[]): void
}

interface Row {
  readonly element: HTMLTableRowElement
  readonly cells: { readonly element: HTMLElement; key: string }[]
}

/**
 * A table that is brought up to date in place: rows stay the same elements, and a cell is touched
 * only where it differs, so that neither focus nor a selection is lost while data streams in. It
 * scrolls inside its part, by keyboard as well.
 */
export function table<T>(
  caption: string,
  columns: readonly Column<T>[],
  keyOf: (item: T) => string,
): Table<T> {
  const head = columns.map(({ title, isNumber, isExtra }) =>
    h('th', { scope: 'col', class: classOf(isNumber, isExtra) }, title),
  )
  const tbody = h('tbody')
  const inner = h(
    'table',
    {},
    h('caption', { class: 'sr-only' }, caption),
    h('thead', {}, h('tr', {}, ...head)),
    tbody,
  )
  const element = h(
    'div',
    { class: 'table-scroll', tabindex: '0', role: 'group', 'aria-label': caption },
    inner,
  )
  fadeEdge(element, inner)
  let rows = new Map<string, Row>()
  return {
    element,
    show(items) {
      const next = new Map<string, Row>()
      for (const item of items) {
        const key = keyOf(item)
        const row = rows.get(key) ?? makeRow(columns)
        update(row, columns, item)
        next.set(key, row)
      }
      for (const [key, { element: gone }] of rows) if (!next.has(key)) gone.remove()
      let at = tbody.firstElementChild
      for (const { element: wanted } of next.values()) {
        // Only what stands elsewhere is moved: an element that is moved loses the focus.
        if (wanted === at) at = at.nextElementSibling
        else tbody.insertBefore(wanted, at)
      }
      rows = next
    },
  }
}

function makeRow<T>(columns: readonly Column<T>[]): Row {
  const cells = columns.map(({ isNumber, isExtra }, index) => {
    const tag = index === 0 ? 'th' : 'td'
    const scope = index === 0 ? { scope: 'row' } : {}
    return { element: h(tag, { ...scope, class: classOf(isNumber, isExtra) }), key: '' }
  })
  return { element: h('tr', {}, ...cells.map(({ element }) => element)), cells }
}

function update<T>(row: Row, columns: readonly Column<T>[], item: T): void {
  for (const [index, cell] of row.cells.entries()) {
    const value = columns[index]?.cell(item) ?? ''
    if (typeof value === 'string') {
      setText(cell.element, value)
    } else if (value.key !== cell.key) {
      cell.key = value.key
      cell.element.replaceChildren(value.make())
    }
  }
}

function classOf(isNumber = false, isExtra = false): string | undefined {
  const names = [isNumber ? 'num' : '', isExtra ? 'extra' : ''].filter((name) => name !== '')
  return names.length === 0 ? undefined : names.join(' ')
}
