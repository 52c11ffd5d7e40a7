import { duration, plural } from './format.ts'
import type { Tone } from './parts/status.ts'
import type { Instance, Slowest } from './types.ts'

/** Whether everything that was revoked is dead everywhere, as far as the store has heard. */
export interface Enforcement {
  readonly tone: Tone
  readonly headline: string
  readonly detail: string
  readonly live: readonly Instance[]
  readonly stale: readonly Instance[]
  readonly slowest: Instance | undefined
}

/** A view this old is told of: a few beats have not reached it. */
const SLOW_MS = 10_000

export function toneOf(instance: Instance): Tone {
  const { state, behind, staleMs } = instance
  if (isStale(instance)) return 'bad'
  if (state === 'gone' || state === 'leaving') return 'unknown'
  if (state === 'joining' || behind === null) return 'attention'
  return (staleMs ?? 0) > SLOW_MS ? 'attention' : 'good'
}

export function wordOf(instance: Instance): string {
  const { state, behind, staleMs } = instance
  if (isStale(instance)) return 'stale'
  if (state !== 'ready') return state
  if ((staleMs ?? 0) > SLOW_MS) return 'late'
  return behind === 0 ? 'enforces all' : 'catching up'
}

/** Its view is older than it may be: what it does then is its own policy (reject, allow or ask). */
function isStale({ state, maxStalenessMs, staleMs, lastSeenMs }: Instance): boolean {
  if (state === 'stale') return true
  if (state !== 'ready' || maxStalenessMs === null) return false
  return lastSeenMs > maxStalenessMs || (staleMs ?? 0) > maxStalenessMs + lastSeenMs
}

export function enforcementOf(all: readonly Instance[]): Enforcement {
  const live = all.filter(({ state }) => state !== 'gone' && state !== 'leaving')
  const stale = live.filter(isStale)
  const [slowest] = live.toSorted(slower)
  const unsure = live.filter((each) => toneOf(each) === 'attention')
  const of = { live, stale, slowest }
  if (live.length === 0) {
    return {
      ...of,
      tone: 'unknown',
      headline: 'Nobody listens yet',
      detail: 'No instance of a service follows the revocations of this tenant.',
    }
  }
  if (stale.length > 0) {
    const are = stale.length === 1 ? 'instance is' : 'instances are'
    return {
      ...of,
      tone: 'bad',
      headline: `Not everywhere: ${stale.length} of ${live.length} ${are} stale`,
      detail: `Not heard of, or not up to date, for longer than allowed: ${namesOf(stale)}.`,
    }
  }
  if (unsure.length > 0) {
    return {
      ...of,
      tone: 'attention',
      headline: `Catching up: ${plural(unsure.length, 'instance')} of ${live.length}`,
      detail: `Not known to have applied everything yet: ${namesOf(unsure)}.`,
    }
  }
  return {
    ...of,
    tone: 'good',
    headline: 'Enforced everywhere',
    detail: `Every revocation is applied by ${live.length === 1 ? 'the one live instance' : `all ${live.length} live instances`}.`,
  }
}

/** Furthest behind first; of equals, the one whose view is oldest. */
function slower(a: Instance, b: Instance): number {
  // Unknown counts as most.
  const [ofA, ofB] = [a, b].map((each) => each.behind ?? Number.MAX_SAFE_INTEGER)
  const [ageA, ageB] = [a, b].map((each) => each.staleMs ?? Number.MAX_SAFE_INTEGER)
  return (ofB ?? 0) - (ofA ?? 0) || (ageB ?? 0) - (ageA ?? 0)
}

export function nameOf({ service, instance }: { service: string; instance: string }): string {
  return `${service} / ${instance.slice(0, 8)}`
}

function namesOf(instances: readonly Instance[]): string {
  const names = instances.slice(0, 4).map(nameOf)
  const more = instances.length - names.length
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ')
}

/** How far an instance is, in words. */
export function lagText({ behind, staleMs }: Slowest): string {
  const entries =
    behind === null ? 'position unknown' : `${plural(behind, 'entry', 'entries')} behind`
  return staleMs === null ? entries : `${entries}, view ${duration(staleMs)} old`
}
