import { call, type Answer } from './api.ts'

/** Whom the browser is logged in as, and what that API key may do. */
export interface Session {
  readonly key: string
  /** Authentication is off (`--dev`): everybody may do everything. */
  readonly isOpen: boolean
  readonly scopes: readonly string[]
  readonly ofAllTenants: boolean
  readonly tenants: readonly string[]
  readonly reasons: readonly string[]
  readonly idleLeftMs?: number
  readonly leftMs?: number
}

/** The body is null where nobody is logged in. Asking also says that somebody is there. */
export async function readSession(): Promise<Answer<Session | null>> {
  const answer = await call<{ session: Session | null }>('GET', '/ops/session')
  return answer.ok ? { ok: true, body: answer.body.session } : answer
}

export function mayDo({ scopes }: Session, scope: string): boolean {
  return scopes.includes('*') || scopes.includes(scope)
}
