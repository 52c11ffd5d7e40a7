import type { Figures, Sample } from './sampler.ts'

/** What may be more at the end than when everything had just been started. */
export interface Bounds {
  /** Open files and sockets, and what keeps a process alive: kept-alive connections of HTTP come and go. */
  readonly handles: number
  /** The share of its first heap by which a process may have grown, besides what it must hold. */
  readonly heapShare: number
  readonly heapBytes: number
  /** A live rule, in the memory of a process that holds it. */
  readonly bytesPerRule: number
  /** A live rule, and an entry of the feed with what services reported of it, in Redis. */
  readonly storedPerRule: number
  readonly storedPerEntry: number
  readonly storedBytes: number
}

const bounds: Bounds = {
  handles: 8,
  heapShare: 0.25,
  heapBytes: 8_000_000,
  bytesPerRule: 1500,
  storedPerRule: 2000,
  storedPerEntry: 1500,
  storedBytes: 4_000_000,
}

/** What the run has made that must still be there. */
export interface Explained {
  readonly rules: number
  readonly entries: number
}

/** The least heap of a few samples: what is left when garbage has just been collected. */
function leastOf(samples: readonly Sample[], name: string, figure: string): number {
  const values = samples.flatMap(({ of }) => of.get(name)?.figures[figure] ?? [])
  return Math.min(...values)
}

/**
 * What has grown without a reason, as sentences. `first` is how it was when everything had just been
 * started, `last` are samples taken at the end, when everything had settled.
 */
export function leaksOf(first: Sample, last: readonly Sample[], explained: Explained): string[] {
  const found: string[] = []
  const complain = (name: string, what: string, was: number, is: number, most: number): void => {
    if (is <= most) return
    found.push(
      `${name} holds ${round(is)} ${what}; it began with ${round(was)} and may hold ${round(most)}.`,
    )
  }
  for (const [name, { figures: was }] of first.of) {
    const figures = (figure: string): readonly [number, number] => [
      was[figure] ?? 0,
      leastOf(last, name, figure),
    ]
    if (name === 'rabbitmq') {
      for (const what of ['connections', 'channels', 'queues'] as const) {
        const [began, is] = figures(what)
        complain(name, what, began, is, began)
      }
    } else if (name === 'redis') {
      const [connections, now] = figures('connections')
      complain(name, 'connections', connections, now, connections)
      const [stored, is] = figures('stored')
      complain(name, 'bytes', stored, is, storedMost(stored, explained))
    } else {
      for (const what of ['descriptors', 'resources'] as const) {
        const [began, is] = figures(what)
        complain(name, what, began, is, began + bounds.handles)
      }
      const [heap, is] = figures('heap')
      complain(name, 'bytes of heap', heap, is, heapMost(heap, explained))
    }
  }
  return found
}

function heapMost(began: number, { rules }: Explained): number {
  return began * (1 + bounds.heapShare) + bounds.heapBytes + rules * bounds.bytesPerRule
}

function storedMost(began: number, { rules, entries }: Explained): number {
  return began + bounds.storedBytes + rules * bounds.storedPerRule + entries * bounds.storedPerEntry
}

function round(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** One figure from the beginning to the end: at first, the most, at last. */
export function courseOf(
  first: Sample,
  samples: readonly Sample[],
  last: readonly Sample[],
  name: string,
  figure: string,
): readonly [number, number, number] | undefined {
  const was: Figures | undefined = first.of.get(name)?.figures
  if (was?.[figure] === undefined) return undefined
  const all = samples.flatMap(({ of }) => of.get(name)?.figures[figure] ?? [])
  return [was[figure], Math.max(...all), leastOf(last, name, figure)]
}
