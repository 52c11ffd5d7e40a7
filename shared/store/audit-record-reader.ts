import type { AuditAct, AuditRecord, AuditResult } from '../domain/audit-record.ts'
import type { Match } from '../domain/claims.ts'
import { isRecord } from '../domain/entry.ts'
import { toHeld, toLifted, toRevoked, type Committed } from './changes.ts'
import { splitAt } from './stored-rule.ts'
import { fromStore } from './stored-json.ts'

/** Where a record lies: a shard of a tenant, or one of the streams beside them. */
export interface AuditPlace {
  /** Null: what concerns no single tenant. */
  readonly tenant: string | null
  /** The number of a shard, `t` for traffic or `b` for bulk; `s`, `t`, `b`, and `l` for logins where there is no tenant. */
  readonly label: string
  readonly key: string
}

/** A record as the store keeps it. `id` is the stream's, `<ms>-<n>`. */
export interface RawRecord {
  readonly id: string
  readonly fields: ReadonlyMap<string, string>
}

/** Reads a record: `a` is the act; `r` its result, or `o` the commit script's answer, with `x` and `n` what only the script knew. */
export function toAuditRecord(place: AuditPlace, raw: RawRecord): AuditRecord {
  return fromStore(() => readRecord(place, raw))
}

function readRecord(place: AuditPlace, { id, fields }: RawRecord): AuditRecord {
  const act = readAct(fields.get('a') ?? '')
  const base = { id: `${id}.${place.label}`, at: Number(id.split('-')[0]), tenant: place.tenant }
  const result = fields.get('r')
  if (result !== undefined) {
    return { ...base, ...act, result: JSON.parse(result) as AuditResult }
  }
  const answer = fields.get('o') ?? ''
  if (answer.startsWith('!')) {
    return { ...base, ...act, result: { ok: false, code: splitAt(answer.slice(1), ' ')[0] } }
  }
  const extra = JSON.parse(fields.get('x') || '{}') as Record<string, unknown>
  const unchanged = fields.get('n') === '1' ? { changed: false } : {}
  const { match = act.match, ...known } = readAnswer(act, Number(place.label), answer)
  const { holdId, ...more } = extra
  return {
    ...base,
    ...act,
    ...(match === undefined ? {} : { match }),
    ...(typeof holdId === 'string' ? { cause: holdId } : {}),
    result: { ok: true, ...known, ...more, ...unchanged },
  }
}

function readAct(text: string): AuditAct {
  const act: unknown = JSON.parse(text)
  if (!isRecord(act) || typeof act['action'] !== 'string' || !isRecord(act['who'])) {
    throw new TypeError('A record says neither who nor what.')
  }
  return act as unknown as AuditAct
}

type Known = { readonly match?: Match } & Readonly<Record<string, unknown>>

/** What the commit script answered, as members of a result. */
function readAnswer(act: AuditAct, shard: number, answer: string): Known {
  const action: string = act.action
  switch (action) {
    case 'revoke':
      return shown(toRevoked(shard, answer))
    case 'hold':
      return shown(toHeld(shard, answer))
    case 'release':
    case 'restore':
    case 'hold-ended':
      return shown(toLifted(shard, answer))
    case 'scheduled-fired':
      if (answer === '-') return {}
      return shown(answer.split(' ').length > 5 ? toHeld(shard, answer) : toRevoked(shard, answer))
    case 'schedule': {
      const [id, at] = answer.split(' ')
      return { id, at: Number(at) }
    }
    case 'unschedule': {
      const { match, at } = JSON.parse(answer) as { match: Match; at: number }
      return { match, at }
    }
    default:
      return {}
  }
}

function shown({ ids, match, shard, epoch, seq, ...made }: Committed): Known {
  const isLifted = match !== undefined
  return {
    ...(isLifted ? { match, lifted: ids } : { id: ids[0] }),
    shard,
    epoch,
    seq,
    ...made,
  }
}
