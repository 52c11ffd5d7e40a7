import { isCount, isRecord, versionText, WIRE_VERSION } from './entry.ts'
import { KnellError } from './errors.ts'
import type { TtlStep } from './max-token-ttl.ts'
import { termOf, type Log } from './position.ts'
import { isTenant } from './tenant.ts'

/** The last position of one shard, as the store named it. */
export interface Tail {
  readonly epoch: string
  readonly seq: number
}

export type Tails = Readonly<Record<Log, readonly Tail[]>>

/** A heartbeat: the tails of all shards at a store time (`at`, ms). */
export interface Beat {
  readonly v: number
  readonly tenant: string
  readonly at: number
  readonly tails: Tails
  readonly maxTokenTtl: readonly TtlStep[]
}

function fail(what: string): never {
  throw new KnellError('message_invalid', `A beat does not follow the wire contract: ${what}.`)
}

export function parseTails(value: unknown): readonly Tail[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > 1024) fail('tails are missing')
  return value.map((tail: unknown) => {
    if (!isRecord(tail)) fail('a tail is not an object')
    const { epoch, seq } = tail
    if (typeof epoch !== 'string' || termOf(epoch) === undefined || !isCount(seq)) {
      fail('a tail has no epoch and seq')
    }
    return { epoch, seq }
  })
}

export function parseTtlSteps(value: unknown): readonly TtlStep[] {
  if (!Array.isArray(value) || value.length === 0) fail('maxTokenTtl is missing')
  return value.map((step: unknown) => {
    if (!isRecord(step)) fail('a step of maxTokenTtl is not an object')
    const { from, seconds } = step
    if (!isCount(from) || !isCount(seconds)) fail('a step of maxTokenTtl has no from and seconds')
    return { from, seconds }
  })
}

/** @throws KnellError `message_invalid` */
export function parseBeat(value: unknown): Beat {
  if (!isRecord(value)) fail('it is not an object')
  const { v, tenant, at, tails, maxTokenTtl } = value
  if (v !== WIRE_VERSION) fail(`${versionText(v)} is not ${WIRE_VERSION}`)
  if (!isTenant(tenant)) fail('tenant is missing')
  if (!isCount(at)) fail('at is not a time in ms')
  if (!isRecord(tails)) fail('tails are missing')
  const revocations = parseTails(tails['revocations'])
  const expiries = parseTails(tails['expiries'])
  if (expiries.length !== revocations.length) fail('the logs differ in their number of shards')
  return {
    v: WIRE_VERSION,
    tenant,
    at,
    tails: { revocations, expiries },
    maxTokenTtl: parseTtlSteps(maxTokenTtl),
  }
}
