import type { Match } from '../../domain/claims.ts'
import { showMatch } from '../arguments/match-options.ts'
import { harmless } from '../terminal/print.ts'
import { paint } from '../terminal/colours.ts'
import { toList, toTable } from '../terminal/table.ts'
import { showDuration, showSeconds } from '../terminal/time.ts'

/** What `POST /v1/revocations` answers for what was made. */
export interface Made {
  readonly id: string
  readonly issuedBefore?: number | null
  readonly until?: number | null
  readonly held?: boolean
  readonly reviewBy?: number
  readonly outcome?: string
  readonly scheduled?: boolean
  readonly at?: number
  readonly enforced?: Enforced
}

export interface Enforced {
  readonly done: boolean
  readonly live: number
  readonly applied: number
  readonly ms: number
  readonly missing: readonly {
    readonly service: string
    readonly instance: string
    readonly lastSeenMs: number
    readonly behind: number | null
  }[]
  readonly absent?: readonly string[]
  readonly lost?: boolean
  readonly lifted?: boolean
}

/** What a call with `dryRun` answers. */
export interface DryRun {
  readonly match: Match
  readonly rule: RuleShown | null
  readonly current: RuleShown | null
  readonly lifted?: readonly string[]
  readonly hits: {
    readonly tokens: number
    readonly complete: boolean
    readonly atMost?: boolean
  } | null
}

/** A rule, as far as it is shown. */
export interface RuleShown {
  readonly cutoffs?: readonly {
    readonly id: string
    readonly issuedBefore: number | null
    readonly except?: Match
  }[]
  readonly held?: boolean
  readonly reviewBy?: number
  readonly outcome?: string
  readonly until?: number | null
  readonly reason?: string
}

/** What was done, and how to undo it. */
export function showMade(made: Made, match: Match | undefined): string {
  const what = made.scheduled ? 'scheduled' : made.held ? 'held' : 'revoked'
  const whom = match === undefined ? 'the token' : showMatch(match)
  const { enforced } = made
  const details = toList([
    ...(enforced === undefined ? [[what, whom] as const] : []),
    ['id', made.id],
    ['at', made.at === undefined ? undefined : showSeconds(made.at)],
    ['issued', made.issuedBefore === undefined ? undefined : showCutoff(made.issuedBefore)],
    ['review by', made.reviewBy === undefined ? undefined : showSeconds(made.reviewBy)],
    ['outcome', made.outcome],
    ['until', made.until === undefined ? undefined : showUntil(made.until)],
  ])
  if (enforced === undefined) return details
  return [`${what} ${harmless(whom)}: ${showProof(enforced)}`, details, ...lacksOf(enforced)].join(
    '\n',
  )
}

function showCutoff(issuedBefore: number | null): string {
  return issuedBefore === null ? 'whenever' : `up to ${showSeconds(issuedBefore)}`
}

function showUntil(until: number | null): string {
  return until === null ? 'it is restored' : showSeconds(until)
}

/** Where it is in force, in a few words. */
function showProof({ done, live, applied, ms, lost, lifted }: Enforced): string {
  const reached = `${applied} of ${live} instances in ${showDuration(ms)}`
  if (done) return paint('green', `enforced on ${reached}`)
  const why = lost
    ? 'the store has lost it meanwhile'
    : lifted
      ? 'it was undone meanwhile'
      : `only on ${reached}`
  return paint('red', `not enforced: ${why}`)
}

/** Who has not applied it, and which services nobody of was there. */
function lacksOf({ missing, absent = [] }: Enforced): readonly string[] {
  const lines: string[] = []
  if (absent.length > 0) lines.push(`no live instance of: ${absent.join(', ')}`)
  const rows = missing.map(({ service, instance, lastSeenMs, behind }) => [
    service,
    instance,
    showDuration(lastSeenMs),
    behind,
  ])
  if (rows.length > 0) lines.push(toTable(['missing', 'instance', 'silent for', 'behind'], rows))
  return lines
}

/** What would become of the match, and whom it would hit. */
export function showDryRun({ match, rule, current, hits, lifted }: DryRun): string {
  return toList([
    ['match', showMatch(match)],
    ['now', showRule(current)],
    ['then', showRule(rule)],
    ['lifted', lifted === undefined ? undefined : lifted.join(', ') || 'nothing'],
    ['hits', showHits(hits)],
  ])
}

function showHits(hits: DryRun['hits']): string {
  if (hits === null)
    return 'not known: registered tokens are counted by jti, sub, sid and client_id only'
  const { tokens, complete, atMost } = hits
  const about = complete ? (atMost ? 'at most ' : '') : 'more than '
  return `${about}${tokens.toLocaleString('en')} registered tokens`
}

/** A rule in one line. */
export function showRule(rule: RuleShown | null | undefined): string {
  if (rule === null || rule === undefined) return 'no rule'
  const { cutoffs = [], held, reviewBy, outcome, reason, until } = rule
  const parts = cutoffs.map(
    ({ issuedBefore, except }) =>
      `issued ${showCutoff(issuedBefore)}${except === undefined ? '' : ` but for ${showMatch(except)}`}`,
  )
  if (held === true) {
    parts.push(
      `held until ${reviewBy === undefined ? 'released' : showSeconds(reviewBy)}, then ${outcome}`,
    )
  }
  if (parts.length === 0) return 'lifted'
  const kept = until === undefined ? [] : [`kept until ${showUntil(until)}`]
  return [...parts, ...(reason === undefined ? [] : [reason]), ...kept].join('; ')
}
