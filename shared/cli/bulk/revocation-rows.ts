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

/** Two columns may stand for one claim, as `sub` and `claim.sub` do. @throws Error */
export function checkOnce(claims: readonly string[]): void {
  const twice = claims.find((name, i) => claims.indexOf(name) < i)
  if (twice !== undefined) throw new Error(`the row has the claim "${twice}" twice`)
}

/** A body of `POST /v1/revocations` from a row. One without any claim is refused: it would be the whole tenant. */
export function revocationRow(nowMs: number): FromRow {
  return (cells) => {
    // Entries, not members: a claim called __proto__ must be refused, not be lost.
    const match: [claim: string, value: string][] = []
    const except: [claim: string, value: string][] = []
    const body: Record<string, unknown> = {}
    for (const [name, cell] of cells) {
      const claim = claimOf(name)
      const kept = spared(name)
      if (claim !== undefined) match.push([claim, cell])
      else if (kept !== undefined) except.push([kept, cell])
      else if (name === 'issuedBefore' && cell === 'any') body[name] = null
      else body[name] = times.has(name) ? parseMoment(cell, nowMs) : cell
    }
    for (const claims of [match, except]) checkOnce(claims.map(([name]) => name))
    const isAimed = match.length > 0
    if (isAimed === 'token' in body) {
      throw new Error(isAimed ? 'the row has claims and a token' : 'the row names no claim')
    }
    return {
      ...(isAimed ? { match: Object.fromEntries(match) } : {}),
      ...(except.length > 0 ? { except: Object.fromEntries(except) } : {}),
      ...body,
    }
  }
}
