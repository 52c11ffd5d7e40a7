/** A part of a screen that keeps itself up to date until it is ended. */
export interface Part {
  readonly element: HTMLElement
  readonly end: () => void
}
