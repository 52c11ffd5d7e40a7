import { EventEmitter, once } from 'node:events'
import { openProxy, type Proxy } from '../../testing/tcp-proxy.ts'
import { serviceNames, type Report, type ServiceEnv, type ServiceName } from './messages.ts'
import { spawnService, type ServiceProcess } from './service-process.ts'

/** The consuming services, one process of each, and the ways in which the demo breaks them. */
export interface ServiceGroup {
  readonly processes: ReadonlyMap<ServiceName, ServiceProcess>
  /** Cuts the API off from RabbitMQ, the notifier and the poller, until `rejoin`. Its users still reach it. */
  cutOff(): Promise<void>
  rejoin(): Promise<void>
  /** Kills an instance with SIGKILL. */
  kill(name: ServiceName): Promise<void>
  /** Starts another instance in the place of one that was killed. */
  replace(name: ServiceName): Promise<ServiceProcess>
  /** Resolves when a service ends that was not killed here. */
  readonly broken: Promise<Error>
}

export interface ServiceGroupOptions {
  readonly env: Omit<ServiceEnv, 'PULL_URLS'>
  /** Notifier and poller. */
  readonly pullUrls: readonly string[]
  readonly onReport: (service: ServiceName, report: Report) => void
  /** Whatever is opened puts here how to close it, to be called from the last to the first. */
  readonly releases: (() => Promise<unknown>)[]
}

export async function openServices(options: ServiceGroupOptions): Promise<ServiceGroup> {
  const { env, pullUrls, onReport, releases } = options
  const proxies: Proxy[] = []

  async function proxied(original: string): Promise<string> {
    const { hostname, port, protocol } = new URL(original)
    const host = hostname.replace(/^\[|\]$/g, '')
    const proxy = await openProxy({
      target: { host, port: Number(port || (protocol === 'amqp:' ? 5672 : 80)) },
    })
    proxies.push(proxy)
    releases.push(() => proxy.close())
    return proxy.url(original)
  }

  const direct: ServiceEnv = { ...env, PULL_URLS: pullUrls.join(' ') }
  const cuttable: ServiceEnv = {
    ...env,
    AMQP_URL: await proxied(env.AMQP_URL),
    PULL_URLS: (await Promise.all(pullUrls.map(proxied))).join(' '),
  }
  const processes = new Map<ServiceName, ServiceProcess>()
  const killed = new Set<ServiceProcess>()
  const endings = new EventEmitter<{ ended: [Error] }>()
  const broken = once(endings, 'ended').then(([error]) => error as Error)

  async function start(name: ServiceName): Promise<ServiceProcess> {
    const its = name === 'api' ? cuttable : direct
    const service = await spawnService(name, its, (report) => onReport(name, report))
    releases.push(() => service.stop())
    processes.set(name, service)
    const onEnded = (error: Error): unknown => killed.has(service) || endings.emit('ended', error)
    void service.ended.then(onEnded)
    return service
  }

  await Promise.all(serviceNames.map(start))
  return {
    processes,
    broken,
    async cutOff() {
      await Promise.all(proxies.map((proxy) => proxy.cut()))
    },
    async rejoin() {
      await Promise.all(proxies.map((proxy) => proxy.resume()))
    },
    async kill(name) {
      const service = processes.get(name)
      if (service === undefined) return
      killed.add(service)
      await service.kill('SIGKILL')
    },
    replace: start,
  }
}
