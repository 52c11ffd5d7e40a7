import { SimBroker } from './amqp-broker.ts'
import { useBroker } from './amqplib.ts'
import { Ledger } from './ledger.ts'
import { Observer } from './observer.ts'
import { KnellProcess } from './processes.ts'
import { ServiceInstance } from './service.ts'
import { SimHttp } from './sim-http.ts'
import type { RealRedis } from './real-redis.ts'
import { TENANTS } from './settings.ts'
import { SimStore } from './sim-store.ts'
import { Actor, type World } from './world.ts'

/** How long somebody who died is away. */
const AWAY_MS = { from: 200, to: 6000 }

/** Everybody who takes part in a run, and what they live among. */
export class Cast {
  readonly world: World
  readonly broker: SimBroker
  readonly http: SimHttp
  readonly store: SimStore
  readonly observer: Observer
  readonly tenants: readonly string[]
  readonly admin: Actor = new Actor('admin')
  readonly processes: Map<string, KnellProcess> = new Map()
  readonly services: Map<string, ServiceInstance> = new Map()
  #isCalm = false
  #born = 0

  constructor(world: World, redis: RealRedis) {
    this.world = world
    this.tenants = world.random.chance(0.4) ? TENANTS : TENANTS.slice(0, 1)
    this.broker = new SimBroker(world)
    useBroker(world, this.broker)
    this.http = new SimHttp(world)
    this.observer = new Observer(world)
    this.store = new SimStore(world, redis, new Ledger(), (server, script, args, reply) =>
      this.observer.take(server, this.store, script, args, reply),
    )
    world.onCrash = (actor) => this.kill(actor)
  }

  get hosts(): readonly string[] {
    return [...this.processes.keys()]
  }

  get everybody(): readonly Actor[] {
    return [...this.processes.values(), ...this.services.values()].filter(({ isDead }) => !isDead)
  }

  get livingServices(): readonly ServiceInstance[] {
    return [...this.services.values()].filter(({ isDead }) => !isDead)
  }

  startProcess(host: string, kind: 'notifier' | 'poller'): void {
    const process = new KnellProcess(`${host}.${++this.#born}`, kind, this.store, this.tenants)
    this.processes.set(host, process)
    this.http.hosts.set(host, process)
    this.world.log(`${process.name} starts`)
    this.world.reach(process, 0, () => process.start())
  }

  startService(place: string): void {
    const { random } = this.world
    const hosts = [...this.hosts].sort(() => random.fraction() - 0.5)
    const tenants = random.chance(0.5) ? this.tenants : [random.pick(this.tenants)]
    const instance = new ServiceInstance(`${place}.${++this.#born}`, hosts, tenants)
    this.services.set(place, instance)
    this.world.log(`${instance.name} starts`)
    const followsExpiries = random.chance(0.3)
    this.world.reach(instance, 0, () => instance.start(place.slice(0, 3), followsExpiries))
  }

  /** Without a word, as by `kill -9`. Somebody else takes its place after a while. */
  kill(actor: Actor): void {
    if (actor.isDead || actor === this.admin) return
    actor.isDead = true
    for (const connection of this.broker.connections) {
      if (connection.actor === actor) connection.end()
    }
    const awayMs = this.#isCalm ? 0 : this.world.random.between(AWAY_MS.from, AWAY_MS.to)
    this.world.later(awayMs, () => this.#replace(actor))
  }

  #replace(actor: Actor): void {
    for (const [host, process] of this.processes) {
      if (process === actor) this.startProcess(host, process.kind)
    }
    for (const [place, instance] of this.services) {
      if (instance === actor) this.startService(place)
    }
  }

  pause(actor: Actor, ms: number): void {
    if (actor.isDead || actor.isPaused) return
    this.world.log(`${actor.name} is paused`)
    actor.isPaused = true
    this.world.later(ms, () => this.#resume(actor))
  }

  #resume(actor: Actor): void {
    if (!actor.isPaused || actor.isDead) return
    this.world.log(`${actor.name} goes on`)
    this.world.resume(actor)
  }

  /** From here on nothing fails any more. */
  calm(): void {
    this.#isCalm = true
    for (const actor of this.everybody) this.#resume(actor)
    this.broker.block(false)
    for (const process of this.processes.values()) process.server = this.store.primary
  }

  close(): void {
    for (const actor of this.everybody) actor.isDead = true
    this.http.close()
  }
}
