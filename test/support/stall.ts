import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { KnellProcess } from '../../shared/cli/processes.ts'

/** With this in its environment a process can be stalled. */
export const STALLABLE: Readonly<Record<string, string>> = { NODE_OPTIONS: '--inspect=127.0.0.1:0' }

/** Lets the event loop of a process do nothing else for so long, as a bug in it would. Resolves when it is over. */
export async function stall({ output }: KnellProcess, ms: number): Promise<void> {
  const line = output.find((each) => each.startsWith('Debugger listening on '))
  const url = /ws:\S+/.exec(line ?? '')?.[0]
  if (url === undefined) throw new Error('The process was not started with STALLABLE.')
  const inspector = new WebSocket(url)
  await once(inspector, 'open')
  const expression = `{ const end = performance.now() + ${ms}; while (performance.now() < end); }`
  inspector.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }))
  await once(inspector, 'message')
  inspector.close()
  await once(inspector, 'close')
}
