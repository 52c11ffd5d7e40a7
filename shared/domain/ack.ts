import { parseTails, type Tail } from './beat.ts'
import { isCount, isRecord, versionText, WIRE_VERSION } from './entry.ts'
import { KnellError } from './errors.ts'
import { parseHandled, parseHandles, type Handled, type Handles } from './handled.ts'
import { termOf, type Position } from './position.ts'
import { isInstance, isService, isTenant } from './tenant.ts'

/** What a view instance is doing. `leaving`: it answers no check any more. */
export type InstanceState = 'joining' | 'ready' | 'stale' | 'leaving'

const states: readonly string[] = ['joining', 'ready', 'stale', 'leaving']

/** A view instance's word on what it has applied of one tenant. */
export interface Ack {
  readonly v: number
  readonly tenant: string
  readonly service: string
  readonly instance: string
  /** The view's `asOf`: the store time (ms) it provably contains; 0 before the first snapshot. */
  readonly at: number
  readonly state: InstanceState
  /** The highest contiguous position of each shard. Empty before the first snapshot. */
  readonly applied: { readonly revocations: readonly Tail[]; readonly expiries?: readonly Tail[] }
  /** The age of that state, ms; null before the first snapshot. */
  readonly staleMs: number | null
  /** For how long, ms, the instance may go on to let tokens in without fresh news; null: without limit. */
  readonly maxStalenessMs: number | null
  /** What handlers of the service are done with. */
  readonly handled?: readonly Handled[]
  /** Present where the instance has handlers. */
  readonly handles?: Handles
}

/** An instance of more tenants than this puts their acks into common messages, whose routing key begins with `_all`. */
export const MANY_TENANTS = 16

/** The most acks in one message or call. */
const MAX_ACKS = 1000

function fail(what: string): never {
  throw new KnellError('message_invalid', `An ack does not follow the wire contract: ${what}.`)
}

function readTails(value: unknown): readonly Tail[] {
  return Array.isArray(value) && value.length === 0 ? [] : parseTails(value)
}

function parseAck(value: unknown): Ack {
  if (!isRecord(value)) fail('it is not an object')
  const { v, tenant, service, instance, at, state, applied, staleMs, maxStalenessMs } = value
  if (v !== WIRE_VERSION) fail(`${versionText(v)} is not ${WIRE_VERSION}`)
  if (!isTenant(tenant)) fail('tenant is missing')
  if (!isService(service)) fail('service is missing')
  if (!isInstance(instance)) fail('instance is missing')
  if (!isCount(at)) fail('at is not a time in ms')
  if (typeof state !== 'string' || !states.includes(state)) fail('state is unknown')
  if (!isRecord(applied)) fail('applied is missing')
  if (staleMs !== null && !isCount(staleMs)) fail('staleMs is neither a whole number nor null')
  if (maxStalenessMs !== null && !isCount(maxStalenessMs)) {
    fail('maxStalenessMs is neither a whole number nor null')
  }
  const { expiries } = applied
  const handled = parseHandled(value['handled'])
  const handles = parseHandles(value['handles'])
  return {
    v: WIRE_VERSION,
    tenant,
    service,
    instance,
    at,
    state: state as InstanceState,
    applied: {
      revocations: readTails(applied['revocations']),
      ...(expiries === undefined ? {} : { expiries: readTails(expiries) }),
    },
    staleMs,
    maxStalenessMs,
    ...(handled.length > 0 ? { handled } : {}),
    ...(handles === undefined ? {} : { handles }),
  }
}

/** One ack, or an array of them as an instance of many tenants sends. @throws KnellError `message_invalid` */
export function parseAcks(value: unknown): readonly Ack[] {
  if (!Array.isArray(value)) return [parseAck(value)]
  if (value.length > MAX_ACKS) fail(`${value.length} acks are more than ${MAX_ACKS}`)
  return value.map(parseAck)
}

/** Tails as positions, without what tells two epochs of one term apart. */
export function toPositions(tails: readonly Tail[]): Position[] {
  return tails.map(({ epoch, seq }) => ({ term: termOf(epoch) ?? 0, seq }))
}
