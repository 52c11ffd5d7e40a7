import { parseMoment } from '../arguments/moment.ts'
import { checkNames } from './revocation-rows.ts'
import type { CheckHeader, FromRow } from './read-records.ts'

const beside: ReadonlySet<string> = new Set(['token', 'tenant'])
const times: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf'])
const CLAIM = /^[A-Za-z0-9_.:/-]{1,64}$/

/** @throws UsageError */
export const checkTokenHeader: CheckHeader = (names) => {
  checkNames(
    names,
    (name) => CLAIM.test(name) || undefined,
    'token, tenant and names of claims, such as jti, sub, sid, client_id, iat, exp',
  )
}

/** An item of `POST /v1/tokens` from a row: a token, or its claims. */
export function tokenRow(nowMs: number): FromRow {
  return (cells) => {
    const tenant = cells.get('tenant')
    const common = tenant === undefined ? {} : { tenant }
    const token = cells.get('token')
    const claims = [...cells].filter(([name]) => !beside.has(name))
    if ((token === undefined) === (claims.length === 0)) {
      throw new Error(token === undefined ? 'the row is empty' : 'the row has a token and claims')
    }
    if (token !== undefined) return { token, ...common }
    const values = claims.map(([name, cell]) => [
      name,
      times.has(name) ? parseMoment(cell, nowMs) : cell,
    ])
    return { claims: Object.fromEntries(values) as Record<string, unknown>, ...common }
  }
}
