import { Caller } from '../caller.ts'
import type { Gate, OpenGate, Verified } from './gate.ts'
import { createAdmit } from './verify.ts'

const SOCKETS = 64

/** `POST /v1/check` at every request: the store's own word, after verifying here. */
export const openCheckGate: OpenGate = async (options): Promise<Gate> => {
  const caller = new Caller(options.url, options.apiKey, { sockets: SOCKETS })
  let calls = 0
  const ask = async ({ claims, header }: Verified): Promise<boolean> => {
    calls += 1
    const decision = (await caller.post('/v1/check', { claims, header })) as { active: boolean }
    return decision.active
  }
  return {
    ask,
    admit: createAdmit(options, ask),
    calls: () => calls,
    close: () => caller.close(),
  }
}
