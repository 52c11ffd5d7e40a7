import type { Match } from './claims.ts'
import { mayHold, redactAll } from './redact.ts'

/** Everything that is audited. */
export const auditActions = [
  'revoke',
  'hold',
  'release',
  'restore',
  'schedule',
  'unschedule',
  'hold-ended',
  'scheduled-fired',
  'max-token-ttl',
  'rotate-key',
  'revoke-key',
  'add-key',
  'reuse',
  'remove-subscriber',
  'replay',
  'sweep',
  'register',
  'login',
  'logout',
  'authenticate',
] as const

export type AuditAction = (typeof auditActions)[number]

/** By which way an act came: a caller says `cli` or `ops` itself, the tick and the sweep are Knell's own. */
export const auditVias = ['api', 'cli', 'ops', 'tick', 'sweep'] as const

export type AuditVia = (typeof auditVias)[number]

/** What is known of an act before it is done: who asks for what, and from where. Never a token or a secret. */
export interface AuditAct {
  readonly action: AuditAction
  /** The name of the API key; null where Knell acts by itself, or where nobody is known. `by` is what the caller said, `client` an OAuth client that has authenticated. */
  readonly who: { readonly key: string | null; readonly by?: string; readonly client?: string }
  readonly from: { readonly address: string | null; readonly via: AuditVia }
  readonly match?: Match
  readonly reason?: string
  readonly note?: string
  /** The id of the hold or schedule that Knell acts upon by itself. */
  readonly cause?: string
  /** What else was asked for, by the names of the call's own members. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** How it ended. `code` where it was refused. */
export interface AuditResult {
  readonly ok: boolean
  readonly code?: string
  /** False where it was accepted and added nothing, since it had been so already. */
  readonly changed?: boolean
  readonly [member: string]: unknown
}

export interface AuditRecord extends AuditAct {
  /** Unique within its tenant. */
  readonly id: string
  /** The store's time, in ms. */
  readonly at: number
  /** Null where it concerns no single tenant. */
  readonly tenant: string | null
  readonly result: AuditResult
}

/** What of an audit trail is asked for; what is absent lets everything through. */
export interface AuditFilter {
  readonly actions?: ReadonlySet<string> | undefined
  /** The name of an API key, an OAuth client, or what a caller said in `by`. */
  readonly who?: string | undefined
  /** Claims that the match must name with these values, as texts. */
  readonly claims?: Readonly<Record<string, string>> | undefined
}

export function isWanted(record: AuditRecord, { actions, who, claims }: AuditFilter): boolean {
  if (actions !== undefined && !actions.has(record.action)) return false
  const { key, by, client } = record.who
  if (who !== undefined && ![key, by, client].includes(who)) return false
  return Object.entries(claims ?? {}).every(([name, value]) => {
    const claim = record.match?.[name]
    return claim !== undefined && String(claim) === value
  })
}

/** An act as the text that is kept, without a token in it and without the secret with which the caller came. */
export function toAuditText(act: AuditAct | AuditResult, secret?: string): string {
  const text = JSON.stringify(act)
  return mayHold(text, secret) ? JSON.stringify(redactAll(act, secret)) : text
}
