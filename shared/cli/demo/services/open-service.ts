import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect, type Subscriber, type VerifyResult } from '../../../subscriber/index.ts'
import {
  machineMs,
  type Asked,
  type Question,
  type Report,
  type ServiceEnv,
  type ServiceName,
} from '../messages.ts'

/** What the three services have in common: a subscriber, and a list of whom they have let in. */
export interface OpenService {
  readonly knell: Subscriber
  /** Remembers what a token was let in for; `end` is called, once, in the moment the token dies. */
  admit(result: VerifyResult, end: (code: string) => void): void
  /** Looks at one token again. False when it is not, or no longer, let in. */
  isAdmitted(jti: string): boolean
  /** Forgets a token whose holder has gone. */
  forget(jti: string): void
  /** Resolves when the demo has been told: what is told before a `kill -9` is told. */
  tell(report: Report): Promise<void>
  /** Tells the demo that the service is there, and takes its questions from now on. */
  begin(parts: {
    readonly server?: Server
    readonly answer?: (question: Question) => Promise<string | number>
  }): Promise<void>
}

interface Guest {
  readonly result: VerifyResult
  readonly end: (code: string) => void
}

/** Connects a service to Knell by the settings in its environment. It lives until the demo lets go of it. */
export async function openService(service: ServiceName): Promise<OpenService> {
  const env = process.env as unknown as ServiceEnv
  const knell = await connect({
    service,
    amqp: env.AMQP_URL,
    pull: env.PULL_URLS.split(' '),
    apiKey: env.API_KEY,
    namespace: env.NAMESPACE,
    verify: { keys: env.JWT_KEYS, issuer: env.ISSUER },
    // The demo wants to see the push path come up, so it must be listened to before that can happen.
    waitReady: false,
  })
  knell.on('push', (state) => report({ type: 'push', state }))
  await knell.ready()
  const guests = new Map<string, Guest>()

  function end(jti: string, guest: Guest, code: string): void {
    guests.delete(jti)
    guest.end(code)
    report({ type: 'ended', jti, code, at: machineMs() })
  }

  function isAdmitted(jti: string): boolean {
    const guest = guests.get(jti)
    if (guest?.result.claims === undefined) return false
    const { active, code } = knell.check(guest.result.claims, guest.result.header)
    if (!active) end(jti, guest, code)
    return active
  }

  // A rule may be about anybody, so everybody is looked at again: a check takes about a microsecond.
  const lookAtAll = (): void => {
    for (const jti of guests.keys()) isAdmitted(jti)
  }
  knell.on('revoked', lookAtAll)
  knell.on('held', lookAtAll)
  knell.on('expired', ({ jti }, { at }) => {
    report({ type: 'expired', jti, wallMs: Date.now(), storeMs: at })
    const guest = guests.get(jti)
    if (guest !== undefined) end(jti, guest, 'expired')
  })

  return {
    knell,
    admit(result, onEnd) {
      const jti = result.claims?.['jti']
      if (typeof jti !== 'string') return
      guests.set(jti, { result, end: onEnd })
      isAdmitted(jti)
    },
    isAdmitted,
    forget: (jti) => void guests.delete(jti),
    tell: (what) =>
      new Promise((resolve, reject) => {
        process.send?.(what, (error: Error | null) => (error ? reject(error) : resolve()))
      }),
    async begin({ server, answer }) {
      process.on('message', (message) => {
        const asked = message as Asked
        void answer?.(asked).then((value) => report({ type: 'answer', id: asked.id, value }))
      })
      process.once('disconnect', () => void leave(knell, server))
      report({ type: 'ready', port: server === undefined ? 0 : await listen(server) })
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function leave(knell: Subscriber, server: Server | undefined): Promise<void> {
  server?.close()
  server?.closeAllConnections()
  await knell.close()
  process.exit()
}

function report(what: Report): void {
  if (process.connected) process.send?.(what)
}

/** The token of a request (RFC 6750, section 2.1); empty where there is none. */
export function bearerOf(request: IncomingMessage): string {
  return /^Bearer ([\w.-]+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
}

/** Lets a request in, or refuses it as RFC 6750, section 3, says. */
export function answerJson(response: ServerResponse, status: 200 | 401, body: object): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(status === 401 && { 'www-authenticate': 'Bearer error="invalid_token"' }),
  })
  response.end(JSON.stringify(body))
}
