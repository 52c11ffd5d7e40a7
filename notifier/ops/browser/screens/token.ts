import { askRevoke } from '../actions/revoke.ts'
import { call, explain } from '../api.ts'
import { decodeJwt, looksLikeToken, toAsk, type DecodedToken } from '../decode-jwt.ts'
import { fill, h } from '../dom.ts'
import { freshId } from '../dom.ts'
import type { Match } from '../format.ts'
import { search } from '../icons.ts'
import { empty, panel } from '../parts/panel.ts'
import type { Rule } from '../rules.ts'
import type { Context, Screen } from '../screen.ts'
import { mayDo } from '../session.ts'
import { auditPanel } from './token/history.ts'
import { claimsPanel } from './token/claims.ts'
import { rulePanel } from './token/rule-panel.ts'
import { verdictOf, verdictOfMatch, type Decision } from './token/verdict.ts'

const CLAIMS = ['jti', 'sub', 'sid', 'client_id', 'aud', 'kid']

/** Is a token, a session or a user dead: since when, why, by which rule, and who has applied it? */
export const token: Screen = {
  path: 'token',
  title: 'Token or subject',
  icon: search,
  mount(root, context) {
    const ends: (() => void)[] = []
    const result = h('div', { class: 'screen', 'aria-live': 'polite' })
    const end = (): void => {
      for (const each of ends.splice(0)) each()
    }
    /** Several questions may be under way; only the last one's answer is shown. */
    let asked = 0

    const form = askForm((question) => void ask(question))
    root.append(form.element, result)
    const preset = matchIn(context.query)
    if (preset !== undefined) {
      form.show(preset)
      void ask({ match: preset })
    } else {
      fill(
        result,
        h(
          'section',
          { class: 'panel' },
          empty(
            'Ask about a token, a session or a user',
            'A token that is pasted stays in this browser: it is decoded here, and only its claims are asked about.',
            'A user’s tokens carry its sub, a session’s its sid, one token its jti.',
          ),
        ),
      )
    }

    // What was asked is asked again once something has been done about it.
    let last: Question | undefined
    const again = (): void => {
      if (last !== undefined) void ask(last)
    }
    document.addEventListener('knell-changed', again)

    async function ask(question: Question): Promise<void> {
      if (last === undefined) fill(result, h('p', { class: 'muted' }, 'Asking the store …'))
      last = question
      asked += 1
      const mine = asked
      end()
      const parts =
        'token' in question ? await ofToken(question.token) : await ofMatch(question.match)
      if (mine === asked) fill(result, ...parts)
    }

    async function ofToken(decoded: DecodedToken): Promise<HTMLElement[]> {
      const { claims, header } = toAsk(decoded)
      const body = { claims, header, tenant: context.tenant, explain: true }
      const answer = await call<Decision & { rules: Rule[] }>('POST', '/v1/check', body)
      if (!answer.ok) return [problemPanel(explain(answer.problem))]
      const { rules } = answer.body
      const keep = keeper(ends)
      return [
        verdictOf(answer.body, decoded.claims),
        ...rules.map((rule) => keep(rulePanel(context, rule))),
        claimsPanel(decoded),
        actions(context, matchOf(decoded.claims)),
      ]
    }

    async function ofMatch(match: Match): Promise<HTMLElement[]> {
      const query = (of: Match): string =>
        `/v1/revocations?${new URLSearchParams({ tenant: context.tenant, match: JSON.stringify(of) })}`
      const isWhole = Object.keys(match).length === 0
      const [own, all] = await Promise.all([
        call<{ rule: Rule | null }>('GET', query(match)),
        isWhole ? undefined : call<{ rule: Rule | null }>('GET', query({})),
      ])
      if (!own.ok) return [problemPanel(explain(own.problem))]
      const rules = [own.body.rule, all?.ok === true ? all.body.rule : null].flatMap(
        (rule) => rule ?? [],
      )
      const keep = keeper(ends)
      return [
        verdictOfMatch(match, rules),
        ...rules.map((rule) => keep(rulePanel(context, rule))),
        ...(mayDo(context.session, 'audit:read') && !isWhole ? [auditPanel(context, match)] : []),
        actions(context, match),
      ]
    }

    return () => {
      document.removeEventListener('knell-changed', again)
      end()
    }
  },
}

type Question = { readonly token: DecodedToken } | { readonly match: Match }

function keeper(
  ends: (() => void)[],
): (part: { element: HTMLElement; end: () => void }) => HTMLElement {
  return ({ element, end }) => {
    ends.push(end)
    return element
  }
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

function askForm(onAsk: (question: Question) => void): {
  element: HTMLElement
  show(match: Match): void
} {
  const id = freshId('ask')
  const input = h('textarea', {
    id,
    rows: '2',
    spellcheck: 'false',
    autocomplete: 'off',
    placeholder: 'eyJhbGciOi… or alice',
    'aria-describedby': `${id}-hint`,
  })
  const claim = h(
    'select',
    { id: `${id}-claim`, 'aria-label': 'Which claim this is' },
    ...CLAIMS.map((name) => h('option', { value: name, selected: name === 'sub' }, name)),
  )
  const problem = h('p', { class: 'form-problem', role: 'alert' })
  const submit = (event: Event): void => {
    event.preventDefault()
    const text = input.value.trim()
    fill(problem)
    const decoded = decodeJwt(text)
    if (decoded !== undefined) {
      // It has been read; nothing on the page needs to hold it any more.
      input.value = ''
      return onAsk({ token: decoded })
    }
    if (looksLikeToken(text))
      return fill(
        problem,
        'This looks like a token, but it is cut off or changed. Nothing was sent.',
      )
    if (text === '') return fill(problem, 'Paste a token, or type a value.')
    const query = new URLSearchParams({ match: JSON.stringify({ [claim.value]: text }) })
    const hash = `#/token?${query}`
    if (location.hash === hash) onAsk({ match: { [claim.value]: text } })
    else location.hash = hash
    return undefined
  }
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey) submit(event)
  })
  const element = h(
    'form',
    { class: 'panel ask', onsubmit: submit },
    h('label', { for: id }, 'Token (JWT), or the value of a claim'),
    h(
      'div',
      { class: 'ask-row' },
      input,
      claim,
      h('button', { type: 'submit', class: 'primary' }, 'Look up'),
    ),
    h(
      'p',
      { class: 'hint', id: `${id}-hint` },
      'A token is decoded here and forgotten; it is never sent.',
    ),
    problem,
  )
  return {
    element,
    show(match) {
      const [[name, value] = ['sub', ''], ...others] = Object.entries(match)
      if (others.length > 0 || !CLAIMS.includes(name)) return
      claim.value = name
      input.value = String(value)
    },
  }
}
