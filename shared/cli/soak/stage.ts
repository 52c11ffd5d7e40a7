import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openProxy } from '../../testing/tcp-proxy.ts'
import type { Scope } from '../bench/scope.ts'
import { freePort } from '../engines/free-port.ts'
import type { KnellKind } from '../processes.ts'
import type { SoakEngines } from './engines.ts'
import { KnellPart, ServicePart, type Part } from './part.ts'
import type { Cast } from './plan.ts'

/** The tenant whose tokens live for a day: what is revoked here must be dead in every view at the end. */
export const LASTING_TENANT = 'default'
/** The tenant whose tokens live for seconds: its rules die during the run, and must leave nothing behind. */
export const BRIEF_TENANT = 'brief'
export const TENANTS: readonly string[] = [LASTING_TENANT, BRIEF_TENANT]
/** As many as Knell has by default. */
export const SHARDS = 4
/** The longest life of a token of the brief tenant, s. */
export const BRIEF_TTL = 20
/** How long the feed is kept. Longer than any fault or repair of handlers, shorter than a long run. */
const RETENTION_MS = 300_000

/** Every instance of the consuming services; the first of each kind of process is never killed, so that what it leaks adds up. */
const instances = [
  { name: 'billing-1', service: 'billing' },
  { name: 'orders-1', service: 'orders' },
  { name: 'orders-2', service: 'orders' },
] as const
const lasting: readonly string[] = ['notifier-1', 'poller-1', 'billing-1']

/** The whole system under test. */
export interface Stage {
  readonly engines: SoakEngines
  readonly apiKey: string
  readonly notifiers: readonly KnellPart[]
  readonly pollers: readonly KnellPart[]
  readonly services: readonly ServicePart[]
  readonly parts: readonly Part[]
  readonly cast: Cast
  /** What an instance of `service` needs to run; `file` is where it notes what it handles. */
  serviceOptions(service: string, broker: string, file: string): ServicePart['options']
  readonly folder: string
}

/** Starts two notifiers, two pollers and the services, every connection to an engine through a proxy of its own. */
export async function openStage(
  engines: SoakEngines,
  scope: Scope,
  onLine: (line: string) => void,
): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'knell-soak-'))
  scope.defer(() => rm(folder, { recursive: true, force: true }))
  const apiKey = randomBytes(18).toString('base64url')
  const tenantsFile = join(folder, 'tenants.json')
  const tenants = { [LASTING_TENANT]: {}, [BRIEF_TENANT]: { maxTokenTtl: `${BRIEF_TTL}s` } }
  await writeFile(tenantsFile, JSON.stringify(tenants))

  const proxyTo = async (port: number) => {
    const proxy = await openProxy({ target: { host: '127.0.0.1', port } })
    scope.defer(() => proxy.close())
    return proxy
  }
  const openKnell = async (kind: KnellKind, number: number): Promise<KnellPart> => {
    const name = `${kind}-${number}`
    const broker = await proxyTo(engines.rabbit.port)
    const store = await proxyTo(engines.redis.port)
    const part = new KnellPart({
      name,
      kind,
      port: await freePort(),
      broker,
      store,
      onLine: (line) => onLine(`${name}: ${line}`),
      env: {
        AMQP_URL: broker.url(engines.amqpUrl),
        REDIS_URL: store.url(engines.redisUrl),
        NAMESPACE: engines.namespace,
        API_KEYS: `soak=${apiKey}:*`,
        TENANTS_FILE: tenantsFile,
        BEAT: '500ms',
        SWEEP_CRON: '*/2 * * * * *',
        SWEEP_GRACE: '2s',
        FEED_RETENTION: `${RETENTION_MS / 1000}s`,
        LOG_LEVEL: 'error',
      },
    })
    scope.defer(() => part.stop())
    await part.start()
    return part
  }
  const notifiers = await Promise.all([1, 2].map((number) => openKnell('notifier', number)))
  const pollers = await Promise.all([1, 2].map((number) => openKnell('poller', number)))
  const urls = [...notifiers, ...pollers].map(({ url }) => url)

  const serviceOptions: Stage['serviceOptions'] = (service, amqpUrl, handledFile) => ({
    service,
    tenants: [LASTING_TENANT, BRIEF_TENANT],
    amqpUrl,
    urls,
    apiKey,
    namespace: engines.namespace,
    handledFile,
    failOneIn: 50,
    handles: true,
  })
  const services = await Promise.all(
    instances.map(async ({ name, service }) => {
      const broker = await proxyTo(engines.rabbit.port)
      const file = join(folder, `${service}.handled`)
      const part = new ServicePart(
        name,
        broker,
        serviceOptions(service, broker.url(engines.amqpUrl), file),
      )
      scope.defer(() => part.stop())
      await part.start()
      await part.ready()
      return part
    }),
  )
  const parts: readonly Part[] = [...notifiers, ...pollers, ...services]
  return {
    engines,
    apiKey,
    notifiers,
    pollers,
    services,
    parts,
    cast: castOf(parts),
    serviceOptions,
    folder,
  }
}

/** Who may be harmed, and how; the same for every run, so that a seed alone gives the plan. */
function castOf(parts: readonly Part[]): Cast {
  const names = parts.map(({ name }) => name)
  return {
    lasting: names.filter((name) => lasting.includes(name)),
    mortal: names.filter((name) => !lasting.includes(name)),
    storing: parts.filter(({ store }) => store !== undefined).map(({ name }) => name),
    services: [...new Set(instances.map(({ service }) => service))],
  }
}
