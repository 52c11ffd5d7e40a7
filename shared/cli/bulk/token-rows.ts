import { parseMoment } from '../arguments/moment.ts'
import { checkNames, checkOnce } from './revocation-rows.ts'
import type { CheckHeader, FromRow } from './read-records.ts'

const beside: ReadonlySet<string> = new Set(['token', 'tenant'])
const times: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf'])
const claims: ReadonlySet<string> = new Set([
  'jti',
  'sub',
  'sid',
  'client_id',
  'aud',
  'iss',
  ...times,
])

/** The claim that a column is for: a usual one by its name, any other after `claim.`. */
function claimOf(column: string): string | undefined {
  if (claims.has(column)) return column
  return /^claim\.[A-Za-z0-9_.:/-]{1,64}$/.test(column) ? column.slice(6) : undefined
}

/** @throws UsageError for a column that means nothing: a token without its `sub` is found by no revocation of that user */
export const checkTokenHeader: CheckHeader = (names) => {
  checkNames(
    names,
    (name) => claimOf(name) ?? (beside.has(name) || undefined),
    [...claims, 'claim.<name>', ...beside].join(', '),
  )
}

/** An item of `POST /v1/tokens` from a row: a token, or its claims. */
export function tokenRow(nowMs: number): FromRow {
  return (cells) => {
    const tenant = cells.get('tenant')
    const common = tenant === undefined ? {} : { tenant }
    const token = cells.get('token')
    const given = [...cells].filter(([name]) => !beside.has(name))
    if ((token === undefined) === (given.length === 0)) {
      throw new Error(token === undefined ? 'the row is empty' : 'the row has a token and claims')
    }
    if (token !== undefined) return { token, ...common }
    const values = given.map(([name, cell]) => [
      claimOf(name) ?? name,
      times.has(name) ? parseMoment(cell, nowMs) : cell,
    ])
    checkOnce(values.map(([name]) => String(name)))
    return { claims: Object.fromEntries(values) as Record<string, unknown>, ...common }
  }
}
