import { count, matchText, numericDate, plural, type Match } from './format.ts'

/** What the API answers of rules, and how it is said in words. */

export interface Cutoff {
  readonly id: string
  readonly issuedBefore: number | null
  readonly except?: Match
}

export interface Rule {
  readonly shard?: number
  readonly epoch?: string
  readonly seq?: number
  readonly match: Match
  readonly cutoffs?: readonly Cutoff[]
  readonly allCutoffs?: readonly Cutoff[]
  readonly held?: boolean
  readonly holdId?: string
  readonly reviewBy?: number
  readonly outcome?: 'release' | 'revoke'
  readonly until: number | null
  readonly reason?: string
  readonly lifted?: readonly string[]
}

export interface Hits {
  readonly tokens: number
  readonly complete: boolean
  readonly atMost?: true
}

/** What a call would do, were it not a dry run. */
export interface DryRun {
  readonly match: Match
  readonly rule: Rule | null
  readonly current: Rule | null
  readonly lifted?: readonly string[]
  readonly hits: Hits | null
}

export function cutoffsOf(rule: Rule): readonly Cutoff[] {
  return rule.allCutoffs ?? rule.cutoffs ?? []
}

/** Whether it still kills or holds anything. */
export function stands(rule: Rule, atMs: number = Date.now()): boolean {
  const isOver = rule.until !== null && rule.until < atMs / 1000
  return !isOver && (cutoffsOf(rule).length > 0 || rule.held === true)
}

export function cutoffWords({ issuedBefore, except }: Cutoff): string {
  const which =
    issuedBefore === null
      ? 'every token, whenever it was issued'
      : `tokens issued up to ${numericDate(issuedBefore)}`
  return except === undefined ? which : `${which}, but not those with ${matchText(except)}`
}

/** What a rule does, one sentence each. */
export function ruleWords(rule: Rule | null): string[] {
  if (rule === null || !stands(rule)) return ['Nothing stands: tokens are let in.']
  const words = cutoffsOf(rule).map((cutoff) => `Dead: ${cutoffWords(cutoff)}.`)
  if (rule.held === true) words.push(holdWords(rule))
  const until = rule.until === null ? 'until it is restored' : `until ${numericDate(rule.until)}`
  words.push(
    `The rule is kept ${until}${rule.until === null ? '' : ', when no such token can be alive'}.`,
  )
  return words
}

function holdWords({ reviewBy, outcome }: Rule): string {
  const end = outcome === 'revoke' ? 'revoked' : 'released'
  return reviewBy === undefined
    ? 'Held: every token.'
    : `Held: every token, for review by ${numericDate(reviewBy)}; then ${end} by itself.`
}

/** How many registered tokens it would concern. */
export function hitsWords(hits: Hits | null): string {
  if (hits === null) {
    return 'How many tokens that are is not known: registered tokens are counted by jti, sub, sid and client_id only.'
  }
  const { tokens, complete, atMost } = hits
  const bound = complete ? (atMost === true ? 'At most ' : '') : 'At least '
  const text = `${bound}${plural(tokens, 'registered token')}`
  return tokens === 0
    ? 'No registered token; ones that were never registered are concerned all the same.'
    : `${text}, and ones that were never registered.`
}

/** A token's own claims, or those of its session or user: anything else reaches across users. */
export function isMass(match: Match): boolean {
  return 'kid' in match || !['jti', 'sid', 'sub'].some((claim) => claim in match)
}

export function countLive(live: number): string {
  return live === 0 ? 'no instance' : `${count(live)} live ${live === 1 ? 'instance' : 'instances'}`
}
