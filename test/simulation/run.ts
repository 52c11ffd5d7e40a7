import { Cast } from './cast.ts'
import { Checks } from './checks.ts'
import { History } from './history.ts'
import { Mischief } from './mischief.ts'
import type { RealRedis } from './real-redis.ts'
import { makeTokens, type SimToken } from './tokens.ts'
import { Violated, World } from './world.ts'
import { Workload } from './workload.ts'
import { CALM } from './faults.ts'

const FAULTY_MS = 10_000
const PROBE_MS = 700
const CALM_STEP_MS = 1000
/** Within this time everything is to be well again; a run ends as soon as it is, but not before the shorter one. */
const CALM_MS = { most: 45_000, least: 4000 }

export interface Outcome {
  readonly seed: number
  readonly violations: readonly string[]
  readonly events: number
  readonly digest: string
  /** The end of the history, where it shows something. */
  readonly tail: readonly string[]
  readonly commits: number
  readonly decisions: number
  readonly enforced: number
}

/** One run: some of everybody, a random workload under random faults, then calm, then the check of it all. */
export async function runOnce(
  seed: number,
  redis: RealRedis,
  options: {
    /** The only faults there are to be. */
    readonly only?: readonly string[] | undefined
    /** Is given every line of the history. */
    readonly tell?: ((line: string) => void) | undefined
  } = {},
): Promise<Outcome> {
  await redis.clear()
  const history = new History(options.tell)
  const world = new World(seed, history)
  let cast: Cast | undefined
  let checks: Checks | undefined
  try {
    cast = new Cast(world, redis)
    const tokens = makeTokens(world.random, world.wall, cast.tenants)
    checks = new Checks(cast, tokens)
    await play(cast, checks, tokens, options.only)
    await end(cast, checks, redis)
  } catch (error) {
    if (!(error instanceof Violated)) throw error
  } finally {
    cast?.close()
    world.close()
  }
  return {
    seed,
    violations: world.violations,
    events: history.count,
    digest: history.digest(),
    tail: world.violations.length === 0 ? [] : history.tail(200),
    commits: cast?.observer.commits ?? 0,
    decisions: checks?.decisions ?? 0,
    enforced: checks?.enforced ?? 0,
  }
}

/** Everybody works, and whatever can fail does. */
async function play(
  cast: Cast,
  checks: Checks,
  tokens: readonly SimToken[],
  only: readonly string[] | undefined,
): Promise<void> {
  const { world } = cast
  const { random } = world
  for (let i = 0; i < random.between(1, 2); i++) cast.startProcess(`n-${i}`, 'notifier')
  cast.startProcess('p-0', 'poller')
  for (let i = 0; i < random.between(1, 2); i++) cast.startService(`s-${i}`)
  await world.advance(random.between(300, 2500))
  const mischief = new Mischief(cast, checks, only)
  new Workload(cast, tokens).plan(random.between(6, 25), FAULTY_MS)
  mischief.plan(FAULTY_MS)
  for (let passed = 0; passed < FAULTY_MS; passed += PROBE_MS) {
    await world.advance(PROBE_MS)
    checks.probe()
  }
  mischief.stop()
}

/** From here on nothing fails; somebody new comes, and all must soon agree. */
async function end(cast: Cast, checks: Checks, redis: RealRedis): Promise<void> {
  const { world } = cast
  world.log('calm')
  world.rates = CALM
  cast.calm()
  cast.startService('s-9')
  for (let passed = 0; ; passed += CALM_STEP_MS) {
    checks.probe()
    const left = passed < CALM_MS.least ? [''] : await checks.left(redis)
    if (left.length === 0) return
    if (passed >= CALM_MS.most) {
      for (const problem of left) world.violated(problem)
      return
    }
    await world.advance(CALM_STEP_MS)
  }
}
