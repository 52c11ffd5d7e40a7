import { courseOf } from './leaks.ts'
import type { Sample } from './sampler.ts'

const columns = [
  'resident',
  'heap',
  'descriptors',
  'resources',
  'connections',
  'channels',
  'queues',
  'stored',
  'keys',
] as const
const inMegabytes: ReadonlySet<string> = new Set(['resident', 'heap', 'stored'])

/** Each figure of each process as "at first … the most … at last". */
export function tableOf(
  first: Sample,
  samples: readonly Sample[],
  last: readonly Sample[],
  counts: Readonly<Record<string, number>>,
): string {
  const rows = [...first.of.keys()].map((name) => {
    const cells = columns.flatMap((column) => {
      const course = courseOf(first, samples, last, name, column)
      return course === undefined ? [] : [`${column} ${course.map(shown(column)).join(' … ')}`]
    })
    return `${name.padEnd(11)} ${cells.join(', ')}`
  })
  const done = Object.entries(counts).map(([what, count]) => `${what} ${count}`)
  return [
    'At first … the most … at last (bytes in MB):',
    ...rows,
    `Calls and findings: ${done.join(', ')}`,
  ].join('\n')
}

function shown(column: string): (value: number) => string {
  return (value) =>
    inMegabytes.has(column) ? (value / 1e6).toFixed(1) : Math.round(value).toLocaleString('en-US')
}
