import { askRevoke } from '../actions/revoke.ts'
import { call, explain, type Answer } from '../api.ts'
import { toAsk, type DecodedToken } from '../decode-jwt.ts'
import { fill, h } from '../dom.ts'
import type { Match } from '../format.ts'
import { search } from '../icons.ts'
import { empty, panel } from '../parts/panel.ts'
import type { Part } from '../parts/part.ts'
import type { Rule } from '../rules.ts'
import type { Context, Screen } from '../screen.ts'
import { mayDo } from '../session.ts'
import { askForm, type Question } from './token/ask-form.ts'
import { auditPanel } from './token/history.ts'
import { claimsPanel } from './token/claims.ts'
import { rulePanel } from './token/rule-panel.ts'
import { verdictOf, verdictOfMatch, type Decision } from './token/verdict.ts'

/** Is a token, a session or a user dead: since when, why, by which rule, and who has applied it? */
export const token: Screen = {
  path: 'token',
  title: 'Token or subject',
  icon: search,
  mount(root, context) {
    const result = h('div', { class: 'screen', 'aria-live': 'polite' })
    let shown: readonly Part[] = []
    /** What was asked last: several questions may be under way, and only the last one's answer is shown. */
    let last: Question | undefined
    const form = askForm((question) => void ask(question))
    // What was asked is asked again once something has been done about it.
    const again = (): void => {
      if (last !== undefined) void ask({ ...last })
    }
    document.addEventListener('knell-changed', again)
    root.append(form.element, result)
    const preset = matchIn(context.query)
    if (preset === undefined) {
      fill(result, invitation())
    } else {
      form.show(preset)
      void ask({ match: preset })
    }

    async function ask(question: Question): Promise<void> {
      if (last === undefined) fill(result, h('p', { class: 'muted' }, 'Asking the store …'))
      last = question
      const parts =
        'token' in question
          ? await ofToken(context, question.token)
          : await ofMatch(context, question.match)
      if (last !== question) return endAll(parts)
      endAll(shown)
      shown = parts
      fill(result, ...parts.map(({ element }) => element))
      return undefined
    }

    return () => {
      document.removeEventListener('knell-changed', again)
      last = undefined
      endAll(shown)
    }
  },
}

function endAll(parts: readonly Part[]): void {
  for (const { end } of parts) end()
}

/** A part that does not change. */
function still(element: HTMLElement): Part {
  return { element, end: () => {} }
}

async function ofToken(context: Context, decoded: DecodedToken): Promise<Part[]> {
  const { claims, header } = toAsk(decoded)
  const body = { claims, header, tenant: context.tenant, explain: true }
  const answer = await call<Decision & { rules: Rule[] }>('POST', '/v1/check', body)
  if (!answer.ok) return [still(problemPanel(explain(answer.problem)))]
  return [
    still(verdictOf(answer.body, decoded.claims)),
    ...answer.body.rules.map((rule) => rulePanel(context, rule)),
    still(claimsPanel(decoded)),
    still(actions(context, matchOf(decoded.claims))),
  ]
}

async function ofMatch(context: Context, match: Match): Promise<Part[]> {
  const { tenant, session } = context
  const read = (of: Match): Promise<Answer<{ rule: Rule | null }>> => {
    const query = new URLSearchParams({ tenant, match: JSON.stringify(of) })
    return call('GET', `/v1/revocations?${query}`)
  }
  const isWhole = Object.keys(match).length === 0
  const [own, all] = await Promise.all([read(match), isWhole ? undefined : read({})])
  if (!own.ok) return [still(problemPanel(explain(own.problem)))]
  const found = [own.body.rule, all?.ok === true ? all.body.rule : null]
  const rules = found.flatMap((rule) => rule ?? [])
  return [
    still(verdictOfMatch(match, rules)),
    ...rules.map((rule) => rulePanel(context, rule)),
    ...(mayDo(session, 'audit:read') && !isWhole ? [still(auditPanel(context, match))] : []),
    still(actions(context, match)),
  ]
}

function invitation(): HTMLElement {
  return h(
    'section',
    { class: 'panel' },
    empty(
      'Ask about a token, a session or a user',
      'A token that is pasted stays in this browser: it is decoded here, and only its claims are asked about.',
      'A user’s tokens carry its sub, a session’s its sid, one token its jti.',
    ),
  )
}

/** The part of the address after the screen's name, where it asks for a match. Never a token. */
function matchIn(query: URLSearchParams): Match | undefined {
  const text = query.get('match')
  if (text === null) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Match) : undefined
  } catch {
    return undefined
  }
}

/** What would be revoked first where a whole token was pasted: the token itself. */
function matchOf({ jti, sid, sub }: Readonly<Record<string, unknown>>): Match {
  if (typeof jti === 'string') return { jti }
  if (typeof sid === 'string') return { sid }
  return typeof sub === 'string' ? { sub } : {}
}

function actions(context: Context, match: Match): HTMLElement {
  const { element, body } = panel('Act', { class: 'panel-text' })
  const may =
    mayDo(context.session, 'revocations:write') || mayDo(context.session, 'revocations:mass')
  if (!may) {
    fill(body, h('p', { class: 'muted' }, 'Your API key may not revoke or hold.'))
    return element
  }
  fill(
    body,
    h('p', { class: 'muted' }, 'Each asks first, and shows what it would reach.'),
    h(
      'div',
      { class: 'button-row' },
      h(
        'button',
        { type: 'button', class: 'danger', onclick: () => askRevoke(context, 'revoke', match) },
        'Revoke …',
      ),
      h('button', { type: 'button', onclick: () => askRevoke(context, 'hold', match) }, 'Hold …'),
    ),
  )
  return element
}

function problemPanel(text: string): HTMLElement {
  return h('section', { class: 'panel' }, h('p', { class: 'part-problem', role: 'alert' }, text))
}
