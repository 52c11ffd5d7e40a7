import type { Logger } from 'pino'
import { collectDefaultMetrics } from 'prom-client'
import { createSubscriberMetrics } from '../metrics/subscriber-metrics.ts'
import { closeServer } from '../process/close-server.ts'
import { connect } from '../subscriber/connect.ts'
import type { Subscriber } from '../subscriber/subscriber.ts'
import { createAgentServer } from './agent-server.ts'
import type { AgentSettings } from './agent-settings.ts'
import { createAuthorizer } from './authorizer.ts'
import { listen } from './listen.ts'

/** How long the token would live whose check says how the agent is. */
const PROBE_SECONDS = 60

/** A running agent. */
export interface Agent {
  /** `http://host:port`, or `unix:/path`. */
  readonly url: string
  /** Lets the calls under way finish, and leaves. Twice is fine. */
  stop(): Promise<void>
}

/**
 * Starts the subscriber of a service that is not Node's as a process beside it, asked over HTTP. It
 * listens at once; until the view is ready nothing is let in, but where the policy says so.
 * @throws KnellError `config_invalid` where it cannot listen
 */
export async function startAgent(settings: AgentSettings, log: Logger): Promise<Agent> {
  const { realm, exposeReason, address, mode } = settings
  const { tenants, verify } = settings.connect
  const subscriber = await connect({ ...settings.connect, log })
  const state = { stopping: false }
  if (verify === undefined) {
    log.warn(
      'there are no keys (JWT_KEYS or JWKS_URI) and ISSUER: /authorize and /verify refuse every call',
    )
  }
  const guardOptions = {
    subscriber,
    realm,
    exposeReason,
    onRefused({ code, status, cause }: { code: string; status: number; cause?: unknown }): void {
      if (status >= 500) log.warn({ code, err: cause }, 'a request could not be judged')
      else log.debug({ code }, 'a request was refused')
    },
  }
  const metrics = createSubscriberMetrics(subscriber)
  collectDefaultMetrics({ register: metrics.registry })
  const server = createAgentServer({
    subscriber,
    registry: metrics.registry,
    authorize: verify === undefined ? undefined : createAuthorizer(guardOptions, tenants),
    readiness: () => {
      const status = state.stopping ? 'stopping' : statusOf(subscriber, settings)
      return { ready: status === 'ok', status }
    },
    freshness: () => ({
      ready: subscriber.isReady,
      push: subscriber.stats.push,
      tenants: Object.fromEntries(tenants.map((tenant) => [tenant, subscriber.freshness(tenant)])),
    }),
    onFault: (error) => log.error({ err: error }, 'a call failed'),
  })
  let url: string
  try {
    url = await listen(server, address, mode)
  } catch (error) {
    await subscriber.close()
    throw error
  }
  log.info({ url, instance: subscriber.instance }, 'listening')
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    state.stopping = true
    log.info('stopping')
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    await closeServer(server, () => closed)
    metrics.stop()
    await subscriber.close()
    log.info('stopped')
  }
  return {
    url,
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

/** Whether a token that is alive would be let in now. */
function statusOf(
  subscriber: Subscriber,
  { connect: { tenants, whenStale } }: AgentSettings,
): string {
  if (!subscriber.isReady || !subscriber.hasKeys) return 'not_ready'
  // The store itself may be asked.
  if (whenStale === 'ask') return 'ok'
  const iat = Math.floor(Date.now() / 1000)
  const codes = tenants.map((tenant) => {
    const { active, code } = subscriber.check({ iat, exp: iat + PROBE_SECONDS }, {}, { tenant })
    return active ? 'active' : code
  })
  return codes.find((code) => code === 'stale' || code === 'not_ready') ?? 'ok'
}
