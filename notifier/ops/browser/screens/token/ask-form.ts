import { decodeJwt, looksLikeToken, type DecodedToken } from '../../decode-jwt.ts'
import { fill, freshId, h } from '../../dom.ts'
import type { Match } from '../../format.ts'

const CLAIMS = ['jti', 'sub', 'sid', 'client_id', 'aud', 'kid']

/** What is asked about: a whole token, or whatever carries some claims. */
export type Question = { readonly token: DecodedToken } | { readonly match: Match }

/** Takes a token or a claim's value. A token is read here and taken out of the page at once. */
export function askForm(onAsk: (question: Question) => void): {
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
