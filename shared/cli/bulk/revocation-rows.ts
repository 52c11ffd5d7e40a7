import { parseMoment } from '../arguments/moment.ts'
import { UsageError } from '../usage-error.ts'
import type { CheckHeader, FromRow } from './read-records.ts'

const claims: ReadonlySet<string> = new Set(['sub', 'jti', 'sid', 'client_id', 'aud', 'kid'])
const texts: ReadonlySet<string> = new Set(['reason', 'by', 'note', 'tenant', 'token'])
const times: ReadonlySet<string> = new Set(['issuedBefore', 'at'])

/** The claim that a column is for: a usual one by its name, any other after `claim.`. */
function claimOf(column: string): string | undefined {
  if (claims.has(column)) return column
  return column.startsWith('claim.') && column.length > 6 ? column.slice(6) : undefined
}

function spared(column: string): string | undefined {
  return column.startsWith('except.') && column.length > 7 ? column.slice(7) : undefined
}

/** @throws UsageError for a column that means nothing: what it was to limit would be hit as well */
export const checkRevocationHeader: CheckHeader = (names) => {
  checkNames(
    names,
    (name) => claimOf(name) ?? spared(name) ?? (texts.has(name) || times.has(name) || undefined),
    [...claims, 'claim.<name>', 'except.<name>', ...texts, ...times].join(', '),
  )
}

/** @throws UsageError */
export function checkNames(
  names: readonly string[],
  isKnown: (name: string) => unknown,
  known: string,
): void {
  const stranger = names.find((name) => isKnown(name) === undefined)
  if (stranger !== undefined) {
    throw new UsageError(`The file has a column "${stranger}"; known are ${known}.`)
  }
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice !== undefined) throw new UsageError(`The file has two columns "${twice}".`)
}

/** A body of `POST /v1/revocations` from a row. One without any claim is refused: it would be the whole tenant. */
export function revocationRow(nowMs: number): FromRow {
  return (cells) => {
    const match: Record<string, string> = {}
    const except: Record<string, string> = {}
    const body: Record<string, unknown> = {}
    for (const [name, cell] of cells) {
      const claim = claimOf(name)
      const kept = spared(name)
      if (claim !== undefined) match[claim] = cell
      else if (kept !== undefined) except[kept] = cell
      else if (name === 'issuedBefore' && cell === 'any') body[name] = null
      else body[name] = times.has(name) ? parseMoment(cell, nowMs) : cell
    }
    const isAimed = Object.keys(match).length > 0
    if (isAimed === 'token' in body) {
      throw new Error(isAimed ? 'the row has claims and a token' : 'the row names no claim')
    }
    return {
      ...(isAimed ? { match } : {}),
      ...(Object.keys(except).length > 0 ? { except } : {}),
      ...body,
    }
  }
}
