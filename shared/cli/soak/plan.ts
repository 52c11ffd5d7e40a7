import { Dice } from './dice.ts'

/** What can happen to a notifier, a poller or a subscriber. A part that is `lasting` is never killed. */
const partFaults = ['kill', 'pause', 'cut', 'stall', 'slow', 'reset', 'store cut'] as const
/** What can happen to the engines and to what is declared in RabbitMQ. */
export const engineFaults = [
  'kill rabbit',
  'pause rabbit',
  'kill redis',
  'pause redis',
  'delete queue',
  'unbind queue',
  'alarm',
] as const

export type PartFault = (typeof partFaults)[number]
export type EngineFault = (typeof engineFaults)[number]

/** One fault: from `atMs` after the beginning it lasts for `forMs`, and is then undone. */
export interface PlannedFault {
  readonly atMs: number
  readonly forMs: number
  readonly fault: PartFault | EngineFault
  /** The part or service it happens to; absent where there is only one. */
  readonly target?: string
}

export interface Cast {
  readonly lasting: readonly string[]
  readonly mortal: readonly string[]
  /** The parts that hold a connection to Redis of their own. */
  readonly storing: readonly string[]
  readonly services: readonly string[]
}

/** How long faults of one lane pause between each other, and how long one lasts. */
const GAP_MS = [1000, 5000] as const
const LAST_MS = [500, 8000] as const
/** The first fault comes when everything has run undisturbed for so long. */
const CALM_MS = 2000

const engineWeights: Readonly<Record<EngineFault, number>> = {
  'kill rabbit': 3,
  'pause rabbit': 2,
  'kill redis': 3,
  'pause redis': 2,
  'delete queue': 2,
  'unbind queue': 2,
  alarm: 2,
}
const partWeights: Readonly<Record<PartFault, number>> = {
  kill: 6,
  pause: 3,
  cut: 2,
  stall: 2,
  slow: 1,
  reset: 1,
  'store cut': 2,
}

/**
 * The faults of a run: two lanes, one of parts and one of engines, so that a part fails while an
 * engine is away as well, but never twice at once. The same arguments give the same plan.
 */
export function planFaults(seed: number, ms: number, cast: Cast): PlannedFault[] {
  const lanes = [
    lane(seed, ms, (dice) => partFault(dice, cast)),
    lane(seed + 1, ms, (dice) => engineFault(dice, cast)),
  ]
  return lanes.flat().toSorted((a, b) => a.atMs - b.atMs)
}

type Drawn = Pick<PlannedFault, 'fault' | 'target'>

function lane(seed: number, ms: number, draw: (dice: Dice) => Drawn): PlannedFault[] {
  const dice = new Dice(seed)
  const planned: PlannedFault[] = []
  let atMs = CALM_MS + dice.whole(0, GAP_MS[0])
  while (atMs < ms - GAP_MS[0]) {
    const forMs = Math.min(dice.whole(...LAST_MS), ms - atMs)
    planned.push({ atMs, forMs, ...draw(dice) })
    atMs += forMs + dice.whole(...GAP_MS)
  }
  return planned
}

function partFault(dice: Dice, { lasting, mortal, storing }: Cast): Drawn {
  const fault = dice.weighed(partWeights)
  const among =
    fault === 'kill' ? mortal : fault === 'store cut' ? storing : [...lasting, ...mortal]
  return { fault, target: dice.pick(among) }
}

function engineFault(dice: Dice, { services }: Cast): Drawn {
  const fault = dice.weighed(engineWeights)
  return fault.endsWith('queue') ? { fault, target: dice.pick(services) } : { fault }
}
