import fc from 'fast-check'
import * as valid from '../arbitrary-messages.ts'
import { signatures, vectorFiles } from '../vectors.ts'

/** Real messages to begin from: those of docs/vectors, and of every form that the wire contract allows. */

const textsOf = (values: readonly unknown[]): string[] => values.map((one) => JSON.stringify(one))
const sample = (arbitrary: fc.Arbitrary<unknown>): string[] =>
  textsOf(fc.sample(arbitrary, { seed: 42, numRuns: 25 }))

const steps = Object.values(vectorFiles).flatMap(({ cases }) => cases.flatMap((one) => one.steps))

export const entries: readonly string[] = [
  ...textsOf(steps.flatMap(({ entry }) => (entry === undefined ? [] : [entry]))),
  ...sample(valid.entry),
]
export const rules: readonly string[] = sample(valid.rule)
export const matches: readonly string[] = sample(valid.match)
export const beats: readonly string[] = [
  ...textsOf(steps.flatMap(({ beat }) => (beat === undefined ? [] : [beat]))),
  ...sample(valid.beat),
]
export const acks: readonly string[] = sample(valid.acks)
export const pages: readonly string[] = textsOf(
  steps.flatMap(({ page }) => (page === undefined ? [] : [page])),
)
export const snapshotRuns: readonly string[] = sample(valid.snapshotRun)
/** Whole snapshots, as NDJSON, without and with runs. */
export const snapshots: readonly string[] = ['', ...snapshotRuns].flatMap((run) =>
  steps.flatMap(({ snapshot = [] }) => {
    const [head, ...rest] = textsOf(snapshot)
    if (head === undefined) return []
    return [[head, ...(run === '' ? [] : [run]), ...rest].map((line) => `${line}\n`).join('')]
  }),
)

const [entry = ''] = entries
const { tenant, log, kind, shard, epoch, seq, at } = JSON.parse(entry) as Record<string, unknown>
const head = { tenant, log, kind, shard, epoch, seq, at }
const error = { name: 'Error', message: 'no', code: 'E' }
const when = { firstSeenAt: 1_732_212_345_123, deadAt: 1_732_212_345_999 }

/** What lies in the queues of the service `orders`, besides entries. */
export const retries: readonly string[] = entries.slice(0, 20).map((body) =>
  JSON.stringify({
    v: 1,
    service: 'orders',
    body,
    indexes: [0],
    attempt: 1,
    passes: 0,
    firstSeenAt: when.firstSeenAt,
    error,
  }),
)
export const partials: readonly string[] = entries.slice(0, 20).map((text) => {
  const value = JSON.parse(text) as { events: unknown[] }
  return JSON.stringify({ ...value, indexes: value.events.map((_, index) => index) })
})
export const deadLetters: readonly string[] = textsOf([
  { v: 1, ...head, service: 'orders', index: 0, event: {}, key: 'k', error, attempts: 3, ...when },
  { v: 1, service: 'orders', key: 'poison.00', raw: 'AAAA', bytes: 3, error, ...when },
])
export const jws: readonly string[] = signatures.signatures.flatMap(({ signature }) =>
  signature === null ? [] : [signature],
)
