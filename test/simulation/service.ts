import { settle } from '../../shared/subscriber/options.ts'
import type { Decision } from '../../shared/domain/decision.ts'
import { Subscriber } from '../../shared/subscriber/subscriber.ts'
import { MAX_STALENESS_MS, NAMESPACE } from './settings.ts'
import type { SimToken } from './tokens.ts'
import { Actor } from './world.ts'

/** An instance of a consuming service, with the whole of Knell's subscriber in it. */
export class ServiceInstance extends Actor {
  readonly hosts: readonly string[]
  readonly tenants: readonly string[]
  #subscriber: Subscriber | undefined

  constructor(name: string, hosts: readonly string[], tenants: readonly string[]) {
    super(name)
    this.hosts = hosts
    this.tenants = tenants
  }

  /** What it says of a token; undefined where it cannot be asked: it has not started, or follows another tenant. */
  check({ claims, header }: SimToken): Decision | undefined {
    const { tnt: tenant } = claims
    if (!this.tenants.includes(tenant)) return undefined
    return this.#subscriber?.check(claims, header, { tenant })
  }

  /** To be called as this actor. */
  start(service: string, followsExpiries: boolean): void {
    const subscriber = new Subscriber(
      settle({
        service,
        tenants: this.tenants,
        amqp: 'amqp://guest@rabbit',
        pull: this.hosts.map((host) => `http://${host}:7070`),
        apiKey: 'simulated-secret-1',
        maxStaleness: MAX_STALENESS_MS,
        namespace: NAMESPACE,
      }),
    )
    this.#subscriber = subscriber
    // Some problem or other is what a run is made of.
    subscriber.on('problem', () => {})
    if (followsExpiries) subscriber.on('expired', () => {})
    void subscriber.start()
  }
}
