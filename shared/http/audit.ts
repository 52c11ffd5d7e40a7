import type { FastifyRequest } from 'fastify'
import type { ApiKey } from '../config/api-keys.ts'
import type { OAuthClient } from '../config/clients.ts'
import {
  toAuditText,
  type AuditAct,
  type AuditAction,
  type AuditResult,
  type AuditVia,
} from '../domain/audit-record.ts'
import type { Match } from '../domain/claims.ts'
import { redact } from '../domain/redact.ts'
import type { AuditStore } from '../store/audit-store.ts'

/** What a route knows of an act; who and from where comes from the request. */
export interface Asked {
  readonly action: AuditAction
  readonly match?: Match | undefined
  readonly reason?: string | undefined
  readonly by?: string | undefined
  readonly note?: string | undefined
  /** Members that are undefined are left out. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** Whom an act is put down to. */
type Caller = ApiKey | OAuthClient

/** Writes the audit trail. With `days` 0 nothing is kept, and nothing is written. */
export class Audit {
  readonly #store: AuditStore
  readonly #isKept: boolean

  constructor(store: AuditStore, days: number) {
    this.#store = store
    this.#isKept = days > 0
  }

  /** The text of an act that a commit keeps with its change; undefined where no trail is kept. */
  act(request: FastifyRequest, who: Caller, asked: Asked): string | undefined {
    return this.#isKept ? textOf(request, who, asked) : undefined
  }

  /** The text of what Knell does by itself. */
  ownAct(act: Omit<AuditAct, 'who' | 'from'>, via: AuditVia): string | undefined {
    if (!this.#isKept) return undefined
    return toAuditText({ ...act, who: { key: null }, from: { address: null, via } })
  }

  /**
   * Records what was done, before the caller is told: where that fails the caller is not told that it
   * was done. `tenant` null: it concerns no single one. @throws KnellError `store_*`
   */
  async record(
    request: FastifyRequest,
    who: Caller,
    tenant: string | null,
    asked: Asked,
    result: AuditResult,
  ): Promise<void> {
    if (!this.#isKept) return
    const secret = secretOf(request)
    await this.#store.append(
      'audit',
      tenant,
      textOf(request, who, asked),
      toAuditText(result, secret),
    )
  }

  /** Records a login to the dashboard, before it is answered. @throws KnellError `store_*` */
  async login(request: FastifyRequest, who: Caller): Promise<void> {
    if (!this.#isKept) return
    const act = textOf(request, who, { action: 'login' })
    await this.#store.appendLogin(act, toAuditText({ ok: true }))
  }
}

function nameOf(who: Caller): AuditAct['who'] {
  return 'clientId' in who ? { key: null, client: who.clientId } : { key: who.name }
}

/** The text of an act of a caller. */
export function textOf(
  request: FastifyRequest,
  who: Caller,
  { action, match, reason, by, note, details }: Asked,
): string {
  const isDetailed = Object.values(details ?? {}).some((value) => value !== undefined)
  const act: AuditAct = {
    action,
    who: { ...nameOf(who), ...(by === undefined ? {} : { by }) },
    from: fromOf(request),
    ...(match === undefined ? {} : { match }),
    ...(reason === undefined ? {} : { reason }),
    ...(note === undefined ? {} : { note }),
    ...(isDetailed ? { details } : {}),
  }
  return toAuditText(act, secretOf(request))
}

/** Where a call comes from. What it says of itself is kept where it is one of the words. */
export function fromOf(request: FastifyRequest): AuditAct['from'] {
  const said = request.headers['knell-via']
  const via = said === 'cli' || said === 'ops' ? said : 'api'
  return { address: request.ip ?? null, via }
}

/** What a caller said in `by`, as the log of the process may have it. */
export function saidBy(request: FastifyRequest, by: string | undefined): string | undefined {
  return by === undefined ? undefined : redact(by, secretOf(request))
}

export function secretOf(request: FastifyRequest): string | undefined {
  return /^\S+\s+(\S+)$/.exec(request.headers.authorization ?? '')?.[1]
}
