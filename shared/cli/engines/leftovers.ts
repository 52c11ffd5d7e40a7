import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** Something of ours that would outlive this process if it were killed. */
export type Leftover =
  | { readonly kind: 'group'; readonly pid: number }
  | { readonly kind: 'epmd'; readonly port: number }
  | { readonly kind: 'folder'; readonly path: string }
  | {
      readonly kind: 'command'
      readonly file: string
      readonly args: readonly string[]
      readonly env: Readonly<Record<string, string>>
    }

/** What a line to the reaper says: remember this under this number, or, without `leftover`, forget it. */
export interface ReaperLine {
  readonly id: number
  readonly leftover?: Leftover
}

let reaper: Writable | undefined
let lastId = 0

/** One reaper per process, started with the first thing to watch. Its pipe closes when we die, and that wakes it. */
function openReaper(): Writable {
  const child = spawn(process.execPath, [fileURLToPath(new URL('reaper.js', import.meta.url))], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    // Coverage of the reaper would be written after the report has been made.
    env: { PATH: process.env.PATH },
  })
  const { stdin } = child
  // Without a reaper the work still gets done; only a crash would leave something behind.
  child.on('error', () => {})
  stdin.on('error', () => {})
  child.unref()
  // A child's pipe is a socket, though its type does not say so. It must not keep this process alive.
  ;(stdin as Writable & { unref(): void }).unref()
  return stdin
}

/**
 * Has `leftover` cleared away if this process ends, in whatever way, before the returned function is
 * called. Who opens something of the kind calls this on the next line.
 */
export function clearAfterDeath(leftover: Leftover): () => void {
  reaper ??= openReaper()
  const stdin = reaper
  lastId += 1
  const id = lastId
  const tell = (line: ReaperLine): void => {
    stdin.write(`${JSON.stringify(line)}\n`)
  }
  tell({ id, leftover })
  return () => tell({ id })
}
