/** What an element may be given: attributes by name, `on…` handlers, and `class`. */
type Prop = string | number | boolean | null | undefined | ((event: never) => void)
type Props = Readonly<Record<string, Prop>>
export type Child = Node | string | number | null | undefined | false

/**
 * Makes an element. Everything that is shown becomes text or an attribute, never markup, so that
 * nothing of what the API answers can become a part of the page's code.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(props)) setProp(element, name, value)
  element.append(...nodesOf(children))
  return element
}

function setProp(element: HTMLElement, name: string, value: Prop): void {
  if (value === undefined || value === null || value === false) return
  if (typeof value === 'function') {
    element.addEventListener(name.slice(2), value as EventListener)
  } else {
    element.setAttribute(name, value === true ? '' : String(value))
  }
}

function nodesOf(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child) =>
    child === null || child === undefined || child === false
      ? []
      : [typeof child === 'number' ? String(child) : child],
  )
}

/** Replaces what an element holds. */
export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren(...nodesOf(children))
}

/** Writes a text only where it differs, so that nothing is read out, or loses its selection, without a reason. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

const SVG = 'http://www.w3.org/2000/svg'

/** A picture of one path on a 24 by 24 grid; `label` undefined: it only repeats what stands beside it. */
export function icon(path: string, className = 'icon'): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', className)
  svg.setAttribute('aria-hidden', 'true')
  const shape = document.createElementNS(SVG, 'path')
  shape.setAttribute('d', path)
  svg.append(shape)
  return svg
}

/** An id that no other element of the page has, to tie a label to what it names. */
export function freshId(what: string): string {
  lastId += 1
  return `${what}-${lastId}`
}

let lastId = 0
