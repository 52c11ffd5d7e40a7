import { setTimeout as delay } from 'node:timers/promises'
import { clockMs } from '../clock.ts'
import { serve } from '../serve.ts'
import { gates, type GateName } from './gates.ts'
import type { Gate, GateOptions, Verified } from './gate.ts'
import { measureAsking, measureThroughput, measureAdmitting, type Cost } from './measuring.ts'
import { createVerify } from './verify.ts'

/** A service that guards itself by one strategy, in a process of its own. */

let gate: Gate | undefined
let tokens: readonly string[] = []
let verified: readonly Verified[] = []
const watched = new Map<string, Promise<number>>()

function opened(): Gate {
  if (gate === undefined) throw new Error('There is no gate.')
  return gate
}

function memory(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function refusedAt(token: string, everyMs: number): Promise<number> {
  while (await opened().admit(token)) await delay(everyMs)
  return clockMs()
}

const methods = {
  /** Returns the bytes that the process has grown by. */
  async open(name: GateName, options: GateOptions): Promise<number> {
    const open = await gates[name]()
    const before = memory()
    gate = await open(options)
    return memory() - before
  },

  /** The tokens of the sessions that ask for something. */
  take(options: GateOptions, given: readonly string[]): void {
    const verify = createVerify(options)
    tokens = given
    verified = given.map((token) => {
      const one = verify(token)
      if (one === undefined) throw new Error('A token of the bench is not good.')
      return one
    })
  },

  /** One round: each of the numbers names the session that asks. */
  async measure(order: Uint32Array, atOnce: number): Promise<Cost> {
    const gate = opened()
    const pick = <T>(from: readonly T[]): T[] => Array.from(order, (i) => from[i] as T)
    if (gate.pace) {
      gate.pace(true)
      // What is remembered must be what is remembered in the long run.
      for (const one of pick(verified)) await gate.ask?.(one)
    }
    const before = gate.calls()
    const admitting = await measureAdmitting(gate, pick(tokens))
    const calls = (gate.calls() - before) / order.length
    const asking = await measureAsking(gate, pick(verified))
    const throughput = await measureThroughput(gate, pick(tokens), atOnce)
    gate.pace?.(false)
    return { ...admitting, ...asking, ...throughput, calls }
  },

  /** Begins to ask for a token, over and over, that must be good at first. */
  async watch(token: string, everyMs: number): Promise<void> {
    if (!(await opened().admit(token))) throw new Error('A token was refused before it died.')
    watched.set(token, refusedAt(token, everyMs))
  },

  /** When a token that is watched was refused for the first time. */
  async refusedAt(token: string): Promise<number> {
    const at = await watched.get(token)
    watched.delete(token)
    return at ?? Number.NaN
  },

  /** Bytes of this process per token that it remembers. */
  bytesPerToken(count: number): number {
    const { fill } = opened()
    if (fill === undefined) return 0
    const before = memory()
    fill(count)
    return (memory() - before) / count
  },
}

export type ProtectedService = typeof methods

serve(methods)
