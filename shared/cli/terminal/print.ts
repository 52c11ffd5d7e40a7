import process from 'node:process'

const CONTROL =
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for.
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** A text that came from elsewhere, so that nothing in it can steer the terminal or begin a line of its own. */
export function harmless(text: string): string {
  return text.replaceAll(CONTROL, escaped)
}

/** The same for several lines that are ours. Of JSON it changes the writing only, never what it means. */
export function harmlessLines(text: string): string {
  return text.replaceAll(CONTROL, (found) => (found === '\n' ? found : escaped(found)))
}

/** A value that came from elsewhere, with every text in it harmless. */
export function harmlessValue<T>(value: T): T {
  if (typeof value === 'string') return harmless(value) as T
  if (Array.isArray(value)) return value.map((each: unknown) => harmlessValue(each)) as T
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => [
    harmless(name),
    harmlessValue<unknown>(member),
  ])
  return Object.fromEntries(members) as T
}

function escaped(found: string): string {
  return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** What a command answers: one line or several, on standard output. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** What is beside the answer, such as a warning or progress, on standard error. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** One JSON document: on one line for machines, indented for whoever looks at a terminal. */
export function sayJson(value: unknown): void {
  say(harmlessLines(JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0)))
}

/** The answer as JSON where `--json` asks for it, else as `human` puts it, who is given a harmless one. */
export function answer<T>(
  isJson: boolean | undefined,
  value: T,
  human: (shown: T) => string,
): void {
  if (isJson === true) sayJson(value)
  else say(human(harmlessValue(value)))
}
