import { parseMatch, problemOfId, type Match } from './claims.ts'
import { KnellError } from './errors.ts'
import { termOf, type Log, type Position } from './position.ts'
import { isReason } from './reasons.ts'
import type { Cutoff, Rule } from './rule.ts'
import { isTenant } from './tenant.ts'

/** The version of the wire contract this code speaks. */
export const WIRE_VERSION = 1

/** No entry is larger than this many bytes of JSON. */
export const MAX_ENTRY_BYTES = 65_536

export type RevocationKind = 'revoked' | 'held' | 'released' | 'restored'
export type ExpiryKind = 'expired' | 'expiring'
export type Kind = RevocationKind | ExpiryKind

/** The kinds of entries in each log. */
export const kindsOfLog: Readonly<Record<Log, readonly Kind[]>> = {
  revocations: ['revoked', 'held', 'released', 'restored'],
  expiries: ['expired', 'expiring'],
}

/** The log in which entries of a kind are numbered. */
export function logOf(kind: Kind): Log {
  return kindsOfLog.expiries.includes(kind) ? 'expiries' : 'revocations'
}

export function isKind(value: unknown): value is Kind {
  return Object.values(kindsOfLog).some((kinds) => kinds.includes(value as Kind))
}

/** A token whose `exp` has come (`expired`) or is `inSeconds` away (`expiring`). Absent claims are left out. */
export interface ExpiryEvent {
  readonly jti: string
  readonly sub?: string
  readonly sid?: string
  readonly client_id?: string
  readonly exp: number
  readonly inSeconds?: number
}

/** Where an entry stands and of what kind it is. */
export interface EntryHead {
  readonly tenant: string
  readonly log: Log
  readonly kind: Kind
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  /** The store's time of the commit, in ms since the Unix epoch. */
  readonly at: number
}

interface EntryBase extends EntryHead {
  readonly v: number
  /** Whether somebody waits to hear that it was applied. */
  readonly ack?: true
}

export interface RevocationEntry extends EntryBase {
  readonly log: 'revocations'
  readonly kind: RevocationKind
  readonly events: readonly Rule[]
}

export interface ExpiryEntry extends EntryBase {
  readonly log: 'expiries'
  readonly kind: ExpiryKind
  readonly events: readonly ExpiryEvent[]
}

/** One numbered item of the feed: 1 to 500 events of one tenant and kind. */
export type Entry = RevocationEntry | ExpiryEntry

/** The kind of a body that the store keeps: it stands in the head, before the events. */
export function kindIn(body: string): string {
  return /"kind":"([a-z]+)"/.exec(body.slice(0, 400))?.[1] ?? 'unknown'
}

export function positionOf(entry: Pick<EntryHead, 'epoch' | 'seq'>): Position {
  return { term: termOf(entry.epoch) ?? 0, seq: entry.seq }
}

function fail(what: string): never {
  throw new KnellError('message_invalid', `A message does not follow the wire contract: ${what}.`)
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** The version that a message claims, for an error: as text, nested arrays could be longer than a stack. */
export function versionText(v: unknown): string {
  return typeof v === 'number' ? `version ${v}` : 'a version that is no number'
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readMatch(value: unknown, what: string): Match {
  try {
    return parseMatch(value, what)
  } catch (error) {
    throw new KnellError(
      'message_invalid',
      `A message does not follow the wire contract: ${what}.`,
      {
        cause: error,
      },
    )
  }
}

function readCutoff(value: unknown): Cutoff {
  if (!isRecord(value)) fail('a cut-off is not an object')
  const { id, issuedBefore, except } = value
  if (typeof id !== 'string' || id.length === 0 || id.length > 128) fail('a cut-off has no id')
  if (issuedBefore !== null && !Number.isSafeInteger(issuedBefore)) {
    fail('issuedBefore is neither a whole number nor null')
  }
  const cutoff = { id, issuedBefore: issuedBefore as number | null }
  return except === undefined ? cutoff : { ...cutoff, except: readMatch(except, 'except') }
}

/** Reads a rule as entries and snapshots carry it; unknown members are ignored. @throws KnellError `message_invalid` */
export function parseRule(value: unknown): Rule {
  if (!isRecord(value)) fail('an event is not an object')
  const { cutoffs, lifted, liftedBefore, until, reason, holdId, reviewBy, outcome } = value
  const { releasedBefore } = value
  if (until !== null && !isCount(until)) fail('until is neither a whole number nor null')
  if (cutoffs !== undefined && !Array.isArray(cutoffs)) fail('cutoffs is not an array')
  if (
    lifted !== undefined &&
    !(Array.isArray(lifted) && lifted.every((id) => typeof id === 'string'))
  ) {
    fail('lifted is not an array of ids')
  }
  return {
    match: readMatch(value['match'], 'match'),
    until,
    ...(Array.isArray(cutoffs) && cutoffs.length > 0 ? { cutoffs: cutoffs.map(readCutoff) } : {}),
    ...(value['held'] === true ? { held: true } : {}),
    ...(typeof holdId === 'string' ? { holdId } : {}),
    ...(isCount(reviewBy) ? { reviewBy } : {}),
    ...(outcome === 'release' || outcome === 'revoke' ? { outcome } : {}),
    ...(isReason(reason) ? { reason } : {}),
    ...(Array.isArray(lifted) && lifted.length > 0 ? { lifted } : {}),
    ...(isCount(liftedBefore) ? { liftedBefore } : {}),
    ...(isCount(releasedBefore) ? { releasedBefore } : {}),
  }
}

function readExpiry(value: unknown): ExpiryEvent {
  if (!isRecord(value)) fail('an event is not an object')
  const { jti, sub, sid, client_id, exp, inSeconds } = value
  if (problemOfId(jti) !== undefined) fail('an expiry has no jti')
  if (!isCount(exp)) fail('exp is not a whole number')
  return {
    jti: jti as string,
    ...(typeof sub === 'string' ? { sub } : {}),
    ...(typeof sid === 'string' ? { sid } : {}),
    ...(typeof client_id === 'string' ? { client_id } : {}),
    exp,
    ...(isCount(inSeconds) ? { inSeconds } : {}),
  }
}

/** An entry whose events have not been read yet. */
export interface EntryOutline extends EntryHead {
  readonly v: number
  readonly ack?: true
  readonly events: readonly unknown[]
}

/**
 * Reads where an entry stands and how many events it has, for whoever needs no more. Unknown members
 * are ignored; a version above `WIRE_VERSION` is refused, so that its position is not passed.
 * @throws KnellError `message_invalid`
 */
export function parseOutline(value: unknown): EntryOutline {
  if (!isRecord(value)) fail('it is not an object')
  const { v, tenant, log, shard, epoch, seq, at, kind, events, ack } = value
  if (v !== WIRE_VERSION) fail(`${versionText(v)} is not ${WIRE_VERSION}`)
  if (!isTenant(tenant)) fail('tenant is missing')
  if (!isCount(shard) || shard > 1023) fail('shard is not a small whole number')
  if (typeof epoch !== 'string' || termOf(epoch) === undefined) fail('epoch is missing')
  if (!isCount(seq) || seq === 0) fail('seq is not a positive whole number')
  if (!isCount(at)) fail('at is not a time in ms')
  if (!Array.isArray(events) || events.length === 0 || events.length > 500) {
    fail('events is not an array of 1 to 500')
  }
  if ((log !== 'revocations' && log !== 'expiries') || !kindsOfLog[log].includes(kind as Kind)) {
    fail('log and kind do not fit together')
  }
  const asks = ack === true ? { ack: true as const } : {}
  const base = { v: WIRE_VERSION, tenant, shard, epoch, seq, at, ...asks }
  return { ...base, log, kind: kind as Kind, events: events as unknown[] }
}

/** Reads an entry, whatever way it came, as `parseOutline` does. @throws KnellError `message_invalid` */
export function parseEntry(value: unknown): Entry {
  const { log, kind, events, ...base } = parseOutline(value)
  return log === 'revocations'
    ? { ...base, log, kind: kind as RevocationKind, events: events.map(parseRule) }
    : { ...base, log, kind: kind as ExpiryKind, events: events.map(readExpiry) }
}

/** JSON text or bytes to an unknown value. @throws KnellError `message_invalid` */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new KnellError('message_invalid', 'A message is not JSON.', { cause: error })
  }
}
