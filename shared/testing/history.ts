import { carries, matchKey, type Claims, type Header, type Match } from '../domain/claims.ts'
import type { DecisionCode } from '../domain/decision.ts'
import type { ExpiryEntry } from '../domain/entry.ts'
import { DEFAULT_TENANT } from '../domain/tenant.ts'

/** One call that asked for a revocation or a hold. */
export interface RevocationCall {
  readonly match: Match
  /** As the answer gave it; null: whatever the `iat`. Absent where no answer came: it may be any. */
  readonly issuedBefore?: number | null
  readonly except?: Match
}

export interface SampleToken {
  readonly claims: Claims
  readonly header?: Header
}

/** What a run did, as its callers and the feed tell it. */
export interface History {
  /** Answered with success, and not undone since. */
  readonly acknowledged: readonly RevocationCall[]
  /** Sent, and nobody knows with what effect: no answer came, or one of a failure. Also what was undone without an answer. */
  readonly unknown: readonly RevocationCall[]
  /** Tokens to ask for that should be alive, unless a call of either kind covers them. */
  readonly spared: readonly SampleToken[]
  /** Times for the token that stands for an acknowledged call: issued before all cut-offs, alive when the views are asked. */
  readonly life: { readonly iat: number; readonly exp: number }
  /** The store's time when the views are asked, as a NumericDate. */
  readonly now: number
  /** Entries of the feed's log of expiries; the same entry may be there more than once. */
  readonly expiries?: readonly ExpiryEntry[]
  /** Registrations answered with success that must have been announced by now. */
  readonly due?: readonly { readonly tenant?: string; readonly jti: string; readonly exp: number }[]
}

/** Whoever can be asked for a token: a subscriber, a process or a store. */
export interface AskedView {
  readonly name: string
  check(
    claims: Claims,
    header?: Header,
  ): { readonly code: DecisionCode } | Promise<{ readonly code: DecisionCode }>
}

/**
 * Compares what views and feed say with what was asked for, and returns each broken guarantee as a
 * sentence: an acknowledged revocation that a view does not know, a token that dies though no call
 * covers it, an `expired` that came twice, before its `exp` or not at all.
 */
export async function violationsOf(
  history: History,
  views: readonly AskedView[],
): Promise<string[]> {
  const found: string[] = []
  for (const view of views) {
    found.push(...(await lostIn(view, history)), ...(await falseDeathsIn(view, history)))
  }
  return [...found, ...wrongExpiries(history)]
}

async function lostIn(view: AskedView, history: History): Promise<string[]> {
  const found: string[] = []
  for (const { match } of history.acknowledged) {
    const { claims, header } = tokenOf(match, history.life)
    const { code } = await view.check(claims, header)
    if (isDead(code)) continue
    found.push(
      `The revocation of ${matchKey(match)} was acknowledged, but ${view.name} says ${code}.`,
    )
  }
  return found
}

async function falseDeathsIn(view: AskedView, history: History): Promise<string[]> {
  const found: string[] = []
  const calls = [...history.acknowledged, ...history.unknown]
  for (const token of history.spared) {
    const { code } = await view.check(token.claims, token.header)
    const text = JSON.stringify(token.claims)
    if (code === 'expired' && Number(token.claims['exp']) > history.now) {
      found.push(`${view.name} calls ${text} expired before its exp.`)
    }
    if (!isDead(code)) continue
    if (calls.some((call) => covers(call, token))) continue
    found.push(`${view.name} says that ${text} is ${code}, though no call covers it.`)
  }
  return found
}

function wrongExpiries({ expiries = [], due = [] }: History): string[] {
  const found: string[] = []
  const read = new Set<string>()
  const placeOf = new Map<string, string>()
  for (const entry of expiries) {
    const place = `${entry.tenant}.${entry.shard}.${entry.epoch}-${entry.seq}`
    if (entry.kind !== 'expired' || read.has(place)) continue
    read.add(place)
    for (const { jti, exp } of entry.events) {
      const what = nameOf(entry.tenant, jti, exp)
      const earlier = placeOf.get(what)
      if (earlier !== undefined) {
        found.push(`The feed announces ${what} twice, at ${earlier} and ${place}.`)
      }
      placeOf.set(what, place)
      if (entry.at >= exp * 1000) continue
      found.push(`The feed announces ${what} ${exp * 1000 - entry.at} ms before its exp.`)
    }
  }
  for (const { tenant = DEFAULT_TENANT, jti, exp } of due) {
    const what = nameOf(tenant, jti, exp)
    if (placeOf.has(what)) continue
    found.push(`The feed never announces ${what}, which was registered.`)
  }
  return found
}

function nameOf(tenant: string, jti: string, exp: number): string {
  return `${jti} of ${tenant} with exp ${exp}`
}

function isDead(code: DecisionCode): boolean {
  return code === 'revoked' || code === 'held'
}

/** The least token that a match covers. */
function tokenOf(match: Match, life: History['life']): SampleToken {
  const { kid, ...claims } = match
  return { claims: { ...claims, ...life }, ...(kid === undefined ? {} : { header: { kid } }) }
}

function covers(call: RevocationCall, { claims, header }: SampleToken): boolean {
  const { match, issuedBefore, except } = call
  if (!carries(match, claims, header)) return false
  if (except !== undefined && carries(except, claims, header)) return false
  if (issuedBefore === undefined || issuedBefore === null) return true
  return typeof claims['iat'] !== 'number' || Math.floor(claims['iat']) <= issuedBefore
}
