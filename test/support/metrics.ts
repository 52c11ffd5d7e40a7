import { expect } from 'chai'

/** What one scrape answered, read as Prometheus reads it. */
export interface Scrape {
  readonly status: number
  readonly contentType: string
  readonly text: string
  /** The metrics that are described, whether or not they have a value. */
  readonly names: readonly string[]
  /** The value of one series; undefined where it is absent. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined
  /** All series of a name, summed; undefined where there is none. */
  sum(name: string): number | undefined
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/

/** Scrapes a process. Every line must be one that Prometheus takes. */
export async function scrape(url: string, apiKey: string): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`, {
    headers: { authorization: `Bearer ${apiKey}`, connection: 'close' },
  })
  const text = await response.text()
  return readScrape(response.status, response.headers.get('content-type') ?? '', text)
}

export function readScrape(status: number, contentType: string, text: string): Scrape {
  const series: { name: string; labels: Record<string, string>; value: number }[] = []
  const names: string[] = []
  for (const line of status === 200 ? text.split('\n') : []) {
    if (line.startsWith('# TYPE ')) names.push(String(line.split(' ')[2]))
    if (line === '' || line.startsWith('#')) continue
    const [, name = '', labels = '', value] = LINE.exec(line) ?? []
    expect(name, `a line that Prometheus does not take: ${line}`).to.not.equal('')
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [
      String(key),
      String(text),
    ])
    series.push({ name, labels: Object.fromEntries(pairs), value: Number(value) })
  }
  return {
    status,
    contentType,
    text,
    names,
    value: (name, wanted = {}) =>
      series.find(
        (each) =>
          each.name === name &&
          Object.entries(wanted).every(([key, value]) => each.labels[key] === value),
      )?.value,
    sum(name) {
      const found = series.filter((each) => each.name === name)
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
    },
  }
}
