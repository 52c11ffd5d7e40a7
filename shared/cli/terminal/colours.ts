import process from 'node:process'
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Whether colours are wanted on a stream: on a terminal only, and never with `NO_COLOR` (no-color.org) or on a dumb one. */
export function hasColours(
  stream: { readonly isTTY?: boolean | undefined },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

/** A text with a style, which is painted where it is written, after it was made harmless. */
export interface Styled {
  readonly text: string
  readonly style: Style
}

/** Colours a text for standard output, where colours are wanted there. */
export function paint(style: Style, text: string): string {
  return hasColours(process.stdout, process.env) ? styleText(style, text) : text
}
