import process from 'node:process'

// oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** A text that came from elsewhere, so that no sequence in it can steer the terminal. */
export function harmless(text: string): string {
  return text.replaceAll(
    CONTROL,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
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
  say(JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0))
}

/** The answer as JSON where `--json` asks for it, else as `human` puts it. */
export function answer(isJson: boolean | undefined, value: unknown, human: () => string): void {
  if (isJson === true) sayJson(value)
  else say(human())
}
