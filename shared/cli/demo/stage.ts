import { setTimeout as delay } from 'node:timers/promises'
import { openProxy } from '../../testing/tcp-proxy.ts'
import type { Engines } from '../engines/engines.ts'
import { freePort } from '../engines/free-port.ts'
import { spawnKnell, type KnellKind, type KnellProcess } from '../processes.ts'
import type { Issuer } from './issuer.ts'
import type { Report, ServiceName } from './messages.ts'
import { openServices, type ServiceGroup } from './service-group.ts'

const CONNECTED_WITHIN_MS = 15_000
const PROBE_EVERY_MS = 25

/** Short, so that what the sweep is for can be seen within the demo's minute. */
const haste = { BEAT: '1s', SWEEP_CRON: '*/3 * * * * *', SWEEP_GRACE: '2s' }

/** All processes of the demo, and the ways in which it breaks them. */
export interface Stage {
  readonly notifier: string
  readonly poller: string
  readonly services: ServiceGroup
  /** The notifier's connection to RabbitMQ stays open, and nothing gets through. */
  stallRelay(): void
  killNotifier(): Promise<void>
  /** Starts a new one, on the same port and with its way to RabbitMQ free again. */
  startNotifier(): Promise<void>
  /** Kills RabbitMQ; one that is not ours to kill is cut off from every process. Resolves with the word for it. */
  killRabbit(): Promise<'killed' | 'cut off'>
  /** Brings it back, with the data it had. Resolves when it takes connections. */
  restoreRabbit(): Promise<void>
  /** Rejects when a process ends that nobody has killed. */
  readonly broken: Promise<never>
  /** The last lines of every notifier and poller there was. */
  lastWords(): string
}

export interface StageOptions {
  readonly engines: Engines
  readonly issuer: Issuer
  readonly onReport: (service: ServiceName, report: Report) => void
  /** Whatever is opened puts here how to close it, to be called from the last to the first. */
  readonly releases: (() => Promise<unknown>)[]
}

/** Starts one notifier, one poller and the three services, each a process of its own. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const { engines, issuer, onReport, releases } = options
  const target = addressOf(engines.amqpUrl)
  const relayProxy = await openProxy({ target })
  releases.push(() => relayProxy.close())
  const restProxy = engines.rabbit === undefined ? await openProxy({ target }) : undefined
  if (restProxy !== undefined) releases.push(() => restProxy.close())
  // A broker that can be killed needs no proxy in the way of the others.
  const restUrl = restProxy?.url(engines.amqpUrl) ?? engines.amqpUrl
  const urls = { notifier: relayProxy.url(engines.amqpUrl), poller: restUrl }
  const ports = { notifier: await freePort(), poller: await freePort() }
  const all: KnellProcess[] = []

  async function start(kind: KnellKind): Promise<KnellProcess> {
    const knell = await spawnKnell(kind, {
      ...haste,
      AMQP_URL: urls[kind],
      REDIS_URL: engines.redisUrl,
      NAMESPACE: engines.namespace,
      PORT: `${ports[kind]}`,
      API_KEYS: issuer.apiKeys,
      ISSUER: issuer.issuer,
      JWT_KEYS: issuer.jwks,
      LOG_LEVEL: 'warn',
    })
    releases.push(() => knell.stop())
    all.push(knell)
    await connected(knell.url)
    return knell
  }

  const [first, poller] = await Promise.all([start('notifier'), start('poller')])
  let notifier = first
  const services = await openServices({
    env: {
      AMQP_URL: restUrl,
      API_KEY: issuer.secrets.services,
      NAMESPACE: engines.namespace,
      ISSUER: issuer.issuer,
      JWT_KEYS: issuer.jwks,
    },
    pullUrls: [first.url, poller.url],
    onReport,
    releases,
  })
  const pollerEnded = poller.exited.then(() => new Error('The poller has ended.'))
  const broken = Promise.race([services.broken, pollerEnded]).then((error) => Promise.reject(error))
  // It rejects at the end of every demo, when nobody listens any more.
  broken.catch(() => {})
  return {
    notifier: first.url,
    poller: poller.url,
    services,
    broken,
    stallRelay: () => relayProxy.stall(),
    killNotifier: () => notifier.kill(),
    async startNotifier() {
      await relayProxy.resume()
      notifier = await start('notifier')
    },
    async killRabbit() {
      if (engines.rabbit !== undefined) {
        await engines.rabbit.signal('SIGKILL')
        return 'killed'
      }
      await Promise.all([relayProxy.cut(), restProxy?.cut()])
      return 'cut off'
    },
    async restoreRabbit() {
      if (engines.rabbit !== undefined) await engines.rabbit.start()
      else await Promise.all([relayProxy.resume(), restProxy?.resume()])
    },
    lastWords: () =>
      all
        .flatMap(({ kind, output }) => output.slice(-10).map((said) => `${kind}: ${said}`))
        .join('\n'),
  }
}

/** Ready means that callers are served; only `ok` says that RabbitMQ is there as well. */
async function connected(url: string): Promise<void> {
  const deadline = performance.now() + CONNECTED_WITHIN_MS
  while (performance.now() < deadline) {
    const response = await fetch(`${url}/readyz`)
    const { status } = (await response.json()) as { status: string }
    if (status === 'ok') return
    await delay(PROBE_EVERY_MS)
  }
  throw new Error(`${url} has not connected to RabbitMQ in ${CONNECTED_WITHIN_MS / 1000} s.`)
}

function addressOf(amqpUrl: string): { host: string; port: number } {
  const { protocol, hostname, port } = new URL(amqpUrl)
  if (protocol !== 'amqp:') {
    throw new Error('The demo puts a proxy before RabbitMQ, so AMQP_URL must be amqp://, not TLS.')
  }
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 5672) }
}
