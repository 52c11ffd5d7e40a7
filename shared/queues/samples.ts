/** One line of Prometheus's text format. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', '"': '"', '\\': '\\' }

/** The samples of a text in Prometheus's text format; lines that are none, and values that are no numbers, are passed over. */
export function readSamples(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    if (line === '' || line.startsWith('#')) return []
    const [, name = '', body = '', number = ''] = LINE.exec(line.trim()) ?? []
    const value = Number(number)
    if (name === '' || number === '' || !Number.isFinite(value)) return []
    const labels: Record<string, string> = {}
    for (const [, label = '', escaped = ''] of body.matchAll(LABEL)) {
      labels[label] = escaped.replaceAll(/\\(.)/g, (_, char: string) => ESCAPES[char] ?? char)
    }
    return [{ name, labels, value }]
  })
}
