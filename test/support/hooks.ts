import type { RootHookObject } from 'mocha'
import { eventually } from './eventually.ts'

// The standard streams become resources when they are first used; now, so that they are counted.
void [process.stdout, process.stderr]

/**
 * What keeps the process alive before any test file is loaded: mocha's own and the standard streams.
 * Everything above it at the end was opened by a test, or by something that a test did not stop.
 */
const before = count(process.getActiveResourcesInfo())

/** The hook below is itself watched over by a timer of mocha's. */
const ownTimers = 1

const GRACE_MS = 3_000

function count(resources: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of resources) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

function leftOver(): string[] {
  return [...count(process.getActiveResourcesInfo())].flatMap(([name, number]) => {
    const allowed = (before.get(name) ?? 0) + (name === 'Timeout' ? ownTimers : 0)
    return number > allowed ? [`${number - allowed} ${name}`] : []
  })
}

function nothingLeft(): boolean {
  const rest = leftOver()
  if (rest.length > 0) throw new Error(`the tests left open: ${rest.join(', ')}`)
  return true
}

export const mochaHooks: RootHookObject = {
  async afterAll(this: Mocha.Context) {
    this.timeout(10_000)
    await eventually(nothingLeft, {
      timeoutMs: GRACE_MS,
      what: 'everything that the tests opened to be closed',
    }).catch((error: unknown) => {
      // What is left over would keep the process alive for ever, after the report as well.
      setTimeout(() => process.exit(1), GRACE_MS).unref()
      throw error
    })
  },
}
