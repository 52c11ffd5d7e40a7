import type { Cast } from './cast.ts'
import type { Checks } from './checks.ts'
import { CALM, type Rates } from './faults.ts'

type Fault = () => void

/** What may befall a run, besides what the rates say. */
const KINDS = [
  'kill',
  'pause',
  'storeRestart',
  'storeLoss',
  'failOver',
  'storeClock',
  'brokerRestart',
  'cut',
  'stall',
  'block',
  'unbind',
  'deleteQueue',
] as const

/** All faults there are, by the names that `--faults` takes. */
export const faultNames: readonly string[] = [...Object.keys(CALM), ...KINDS]

/** Plans the faults of a run: each run has some kinds of them and not others, so that rare meetings happen. */
export class Mischief {
  readonly #cast: Cast
  readonly #checks: Checks
  /** Only these, and each of them; undefined: whatever the seed says. */
  readonly #only: readonly string[] | undefined
  #isOver = false

  constructor(cast: Cast, checks: Checks, only: readonly string[] | undefined) {
    this.#cast = cast
    this.#checks = checks
    this.#only = only
  }

  plan(withinMs: number): void {
    const { world } = this.#cast
    const { random } = world
    world.rates = this.#rates()
    world.log(`faults: ${JSON.stringify(world.rates)}`)
    const all = Object.entries(this.#faults())
    const kinds = all.filter(([name]) => this.#only?.includes(name) ?? random.chance(0.35))
    world.log(`and: ${kinds.map(([name]) => name).join()}`)
    if (kinds.length === 0) return
    for (let i = random.int(6); i >= 0; i--) {
      const [, fault] = random.pick(kinds)
      world.later(random.int(withinMs), () => {
        if (!this.#isOver) fault()
      })
    }
  }

  stop(): void {
    this.#isOver = true
  }

  #rates(): Rates {
    const { random } = this.#cast.world
    const most: Rates = {
      crash: 0.004,
      slow: 0.05,
      storeRequestLost: 0.03,
      storeAnswerLost: 0.03,
      storeTwice: 0.05,
      httpRequestLost: 0.1,
      httpAnswerLost: 0.1,
      httpCut: 0.1,
      nack: 0.15,
      drop: 0.2,
    }
    const chosen = Object.entries(most).map(([name, rate]) => {
      const isChosen = this.#only?.includes(name) ?? random.chance(0.3)
      return [name, isChosen ? rate * random.fraction() : CALM[name as keyof Rates]]
    })
    return Object.fromEntries(chosen) as Record<keyof Rates, number>
  }

  #faults(): Record<(typeof KINDS)[number], Fault> {
    const { world, store, broker } = this.#cast
    const { random } = world
    const offset = (): number => (random.chance(0.5) ? 0 : random.between(-15_000, 15_000))
    return {
      kill: () => this.#cast.kill(random.pick(this.#cast.everybody)),
      pause: () => this.#cast.pause(random.pick(this.#cast.everybody), random.between(500, 14_000)),
      storeRestart: () => {
        if (store.primary.isUp)
          store.restart(random.between(100, 5000), { lost: false, offsetMs: offset() })
      },
      storeLoss: () => this.#loseStore(offset()),
      failOver: () => this.#failOver(offset()),
      storeClock: () => {
        store.jump(random.between(-15_000, 15_000))
      },
      brokerRestart: () => broker.restart(random.between(100, 8000)),
      cut: () => [...broker.connections][random.int(broker.connections.size)]?.cut('cut'),
      stall: () => [...broker.connections][random.int(broker.connections.size)]?.stall(),
      block: () => {
        broker.block(true)
        world.later(random.between(500, 12_000), () => broker.block(false))
      },
      unbind: () => {
        if (broker.queues.length > 0) broker.unbind(random.pick(broker.queues))
      },
      deleteQueue: () => {
        if (broker.queues.length > 0) broker.deleteQueue(random.pick(broker.queues))
      },
    }
  }

  /** The store falls back to a copy of some time ago. */
  #loseStore(offsetMs: number): void {
    const { world, store } = this.#cast
    const { random } = world
    if (!store.primary.isUp) return
    store.keepCopy()
    world.later(random.between(100, 6000), () => {
      if (!this.#isOver && store.primary.isUp)
        store.restart(random.between(50, 3000), { lost: true, offsetMs })
    })
  }

  /** Another primary takes over while some processes still speak to the old one. */
  #failOver(offsetMs: number): void {
    const { world, store, processes } = this.#cast
    const { random } = world
    if (!store.primary.isUp) return
    const overlapMs = random.between(0, 5000)
    const left = [...processes.values()].filter(() => random.chance(0.5))
    store.failOver(left, overlapMs, offsetMs)
    this.#checks.forks.push({ from: world.now, until: world.now + overlapMs })
    for (const process of processes.values()) {
      if (left.includes(process)) {
        world.later(overlapMs + random.int(4000), () => {
          process.server = store.primary
        })
      } else process.server = store.primary
    }
  }
}
