import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { killEpmd } from './epmd.ts'
import type { Leftover, ReaperLine } from './leftovers.ts'

/**
 * This program outlives the one that started it, however that one ends. It is told, one line each on
 * its standard input, what to clear away; when the input ends, its parent is dead and it does so.
 */

const leftovers = new Map<number, Leftover>()

/** Groups first, so that nothing writes any more where the later steps clean. */
const order: readonly Leftover['kind'][] = ['group', 'epmd', 'command', 'folder']

async function clear(leftover: Leftover): Promise<void> {
  switch (leftover.kind) {
    case 'group':
      killGroup(leftover.pid)
      return
    case 'epmd':
      await killEpmd(leftover.port)
      return
    case 'command':
      spawnSync(leftover.file, leftover.args, {
        env: leftover.env,
        stdio: 'ignore',
        timeout: 60_000,
      })
      return
    case 'folder':
      rmSync(leftover.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is gone already.
  }
}

// A Ctrl-C is for the program that is watched over; its end is the only thing to act on.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

for await (const text of createInterface({ input: process.stdin })) {
  const line = JSON.parse(text) as ReaperLine
  if (line.leftover) leftovers.set(line.id, line.leftover)
  else leftovers.delete(line.id)
}

for (const kind of order) {
  for (const leftover of leftovers.values()) {
    if (leftover.kind !== kind) continue
    try {
      await clear(leftover)
    } catch {
      // One that cannot be cleared must not keep the others.
    }
  }
  // A killed process needs a moment until its sockets and files are let go.
  if (kind === 'group' && leftovers.size > 0) await delay(100)
}
