import { randomUUID } from 'node:crypto'
import { Caller } from '../caller.ts'
import type { Gate, OpenGate } from './gate.ts'
import { AT_ONCE } from './measuring.ts'
import { SHORT_LIFE_MS } from './short-life.ts'
import { createVerify } from './verify.ts'

const CLIENT = 'mobile-app'

/**
 * Nothing but `exp` at a request; the session gets a new token whenever a short life is over, and a
 * dead one gets none. Each request is charged with its part: after as many as a session makes in one
 * life, the next one waits for a refresh.
 */
export const openRefreshGate: OpenGate = async (options): Promise<Gate> => {
  const caller = new Caller(options.url, options.apiKey, { sockets: AT_ONCE })
  const verify = createVerify(options)
  const perLife = SHORT_LIFE_MS / options.everyMs
  const begin = async (): Promise<string> => {
    const { audience: aud } = options
    const body = { sub: randomUUID(), client_id: CLIENT, aud }
    return refreshTokenOf(await caller.post('/v1/sessions', body))
  }
  /** One for each that may wait at a time: a refresh token works once. */
  const sessions = await Promise.all(Array.from({ length: AT_ONCE }, begin))
  let [requests, calls] = [0, 0]
  const ask = (): boolean | Promise<boolean> => {
    requests += 1
    return requests % perLife === 0 ? refresh() : true
  }
  const refresh = async (): Promise<boolean> => {
    const refreshToken = sessions.pop() ?? (await begin())
    calls += 1
    const body = { refreshToken, client_id: CLIENT }
    sessions.push(refreshTokenOf(await caller.post('/v1/sessions/refresh', body)))
    return true
  }
  return {
    ask,
    admit: (token) => (verify(token) === undefined ? false : ask()),
    calls: () => calls,
    close: () => caller.close(),
  }
}

function refreshTokenOf(answer: unknown): string {
  return (answer as { refresh_token: string }).refresh_token
}
