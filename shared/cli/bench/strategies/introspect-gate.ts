import { Caller } from '../caller.ts'
import type { Gate, GateOptions, OpenGate } from './gate.ts'
import { AT_ONCE } from './measuring.ts'

/**
 * `POST /oauth/introspect` (RFC 7662) at every request. The one who is asked verifies the token, so
 * that the service has nothing to verify.
 */
export const openIntrospectGate: OpenGate = async (options) => introspecting(options, options.url)

/** The same of a notifier that takes what was never registered for dead. */
export const openStatefulGate: OpenGate = async (options) =>
  introspecting(options, options.statefulUrl)

function introspecting({ apiKey }: GateOptions, url: string): Gate {
  const caller = new Caller(url, apiKey, { sockets: AT_ONCE })
  let calls = 0
  return {
    async admit(token) {
      calls += 1
      const answer = (await caller.form('/oauth/introspect', { token })) as { active: boolean }
      return answer.active
    },
    calls: () => calls,
    close: () => caller.close(),
  }
}
