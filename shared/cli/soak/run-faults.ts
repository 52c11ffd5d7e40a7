import { setTimeout as delay } from 'node:timers/promises'
import { faultOf } from './fault.ts'
import type { EngineFault, PlannedFault } from './plan.ts'
import { engineFaults } from './plan.ts'
import type { Stage } from './stage.ts'

const TRIES = 3

/** Makes the faults of a plan happen, each lane one after the other, and ends each again. @throws what could not be undone */
export async function runFaults(
  stage: Stage,
  plan: readonly PlannedFault[],
  options: {
    readonly forMs: number
    readonly signal: AbortSignal
    readonly say: (line: string) => void
  },
): Promise<void> {
  const started = performance.now()
  const runLane = async (lane: readonly PlannedFault[]): Promise<void> => {
    for (const planned of lane) {
      await wait(planned.atMs - (performance.now() - started), options.signal)
      if (options.signal.aborted) return
      if (performance.now() - started > options.forMs) {
        options.say(`${describe(planned)} is left out: this machine was slower than the plan.`)
        continue
      }
      const { begin, end } = faultOf(stage, planned)
      try {
        await begin()
        options.say(`${seconds(performance.now() - started)} ${describe(planned)}`)
      } catch (error) {
        options.say(`${describe(planned)} could not be made: ${String(error)}`)
      }
      await wait(planned.forMs, options.signal)
      await insist(end)
      options.say(`${seconds(performance.now() - started)} … ${describe(planned)} is over`)
    }
  }
  await Promise.all([
    runLane(plan.filter((planned) => !isEngine(planned))),
    runLane(plan.filter(isEngine)),
  ])
}

const isEngine = ({ fault }: PlannedFault): boolean => engineFaults.includes(fault as EngineFault)

export function describe({ fault, target, forMs }: PlannedFault): string {
  const what = target === undefined ? fault : `${fault} ${target}`
  return `${what} for ${(forMs / 1000).toFixed(1)} s`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(6)} s`
}

/** On a machine with too much to do a program may take too long to start. */
async function insist(end: () => Promise<unknown> | void): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await end()
      return
    } catch (error) {
      if (tries === TRIES) throw error
    }
  }
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => {})
}
