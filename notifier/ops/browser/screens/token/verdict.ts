import { h, type Child } from '../../dom.ts'
import { capital, duration, matchText, numericDate, type Match } from '../../format.ts'
import { mark, type Tone } from '../../parts/status.ts'
import { cutoffsOf, stands, type Rule } from '../../rules.ts'

/** What the store itself says of a token. */
export interface Decision {
  readonly active: boolean
  readonly code: string
  readonly reason?: string
  readonly asOf: number
}

const words: Readonly<Record<string, string>> = {
  active: 'Alive: it is let in',
  revoked: 'Dead: it is revoked',
  held: 'Held: it is refused until it is released',
  expired: 'Dead: it has expired',
  token_too_long_lived: 'Refused: it lives longer than tokens of this tenant may',
  iat_required: 'Refused: it does not say when it was issued (iat)',
  exp_required: 'Refused: it does not say when it expires (exp)',
  iat_in_future: 'Refused: it was issued in the future',
  too_many_audiences: 'Refused: it names too many audiences',
}

/** Is it dead, and why: the first thing to be seen. */
export function verdictOf(
  decision: Decision,
  claims: Readonly<Record<string, unknown>>,
): HTMLElement {
  const { active, code, reason } = decision
  const tone: Tone = active ? 'good' : code === 'held' ? 'attention' : 'bad'
  const exp = claims['exp']
  const life =
    typeof exp !== 'number'
      ? ''
      : exp * 1000 > decision.asOf
        ? `It expires in ${duration(exp * 1000 - decision.asOf)}.`
        : `It expired ${duration(decision.asOf - exp * 1000)} ago.`
  return banner(
    tone,
    words[code] ?? `Refused: ${code.replaceAll('_', ' ')}`,
    `${reason === undefined ? '' : `Reason: ${reason}. `}${life} Its signature was not looked at.`,
  )
}

/** The same for a match, of which only the rules are known. */
export function verdictOfMatch(match: Match, rules: readonly Rule[]): HTMLElement {
  const text = matchText(match)
  const live = rules.filter((rule) => stands(rule))
  const [rule] = live
  if (rule === undefined) {
    const was =
      rules.length > 0
        ? 'What was revoked is restored or over.'
        : 'Nothing was revoked or held by it.'
    return banner(
      'good',
      `Alive: tokens with ${text} are let in`,
      `${was} One of them may still die by another claim of its own: paste it to see.`,
    )
  }
  if (rule.held === true && cutoffsOf(rule).length === 0) {
    return banner('attention', `Held: tokens with ${text} are refused`, reasonText(rule))
  }
  const isAll = live.some((each) =>
    cutoffsOf(each).some(
      ({ issuedBefore, except }) => issuedBefore === null && except === undefined,
    ),
  )
  if (isAll || live.some((each) => each.held === true)) {
    return banner('bad', `Dead: every token with ${text}`, reasonText(rule))
  }
  const latest = Math.max(
    ...live.flatMap((each) => cutoffsOf(each).map(({ issuedBefore }) => issuedBefore ?? 0)),
  )
  return banner(
    'bad',
    `Dead: tokens with ${text} issued up to ${numericDate(latest)}`,
    `${reasonText(rule)} Tokens issued later are let in.`,
  )
}

function reasonText({ reason }: Rule): string {
  return reason === undefined ? '' : `Reason: ${reason}.`
}

function banner(tone: Tone, headline: string, detail: Child): HTMLElement {
  return h(
    'section',
    { class: `verdict verdict-${tone}`, 'aria-label': 'Is it dead?' },
    h('div', { class: 'verdict-sign' }, mark(tone)),
    h(
      'div',
      { class: 'verdict-words' },
      h('p', { class: 'verdict-headline' }, capital(headline)),
      h('p', { class: 'verdict-detail' }, detail),
    ),
  )
}
