import { Worker } from 'node:worker_threads'

/** Far longer than any input may take. What loops for ever lets no timer of its own thread tell so. */
const HANGING_MS = 60_000
const LOOK_MS = 5_000

/** Which input is being read, counted from 1; 0 between them. */
const shared = new Int32Array(new SharedArrayBuffer(4))
let count = 0
let watch: Worker | undefined

const script = `
const { workerData: { shared, seed, pid } } = require('node:worker_threads')
let last = 0
let since = 0
setInterval(() => {
  const now = Atomics.load(shared, 0)
  if (now === 0 || now !== last) since = performance.now()
  last = now
  if (performance.now() - since < ${HANGING_MS}) return
  require('node:fs').writeSync(2, 'Input ' + now + ' never ends. Replay: FUZZ_SEED=' + seed + '\\n')
  process.kill(pid, 'SIGKILL')
}, ${LOOK_MS})
`

/** Ends the whole run, with the seed, where one input never ends. */
export function watched<T>(seed: number, read: () => T): T {
  watch ??= new Worker(script, { eval: true, workerData: { shared, seed, pid: process.pid } })
  watch.unref()
  count += 1
  Atomics.store(shared, 0, count)
  try {
    return read()
  } finally {
    Atomics.store(shared, 0, 0)
  }
}
