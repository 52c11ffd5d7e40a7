import { call, type Answer } from './api.ts'
import { fill, h, icon } from './dom.ts'
import { bell } from './icons.ts'
import { readSession } from './session.ts'

/** The login page: takes the secret of an API key and never keeps it. */

const secret = h('input', {
  id: 'secret',
  name: 'secret',
  type: 'password',
  autocomplete: 'current-password',
  required: true,
  spellcheck: 'false',
  'aria-describedby': 'secret-hint message',
})
const button = h('button', { type: 'submit', class: 'primary' }, 'Log in')
const message = h('p', { id: 'message', role: 'alert', class: 'form-problem' })

const reasons: Readonly<Record<string, string>> = {
  ended: 'Your session is over. Log in again to go on.',
  out: 'You have logged out.',
}

async function logIn(event: Event): Promise<void> {
  event.preventDefault()
  button.disabled = true
  fill(message)
  const answer = await call('POST', '/ops/session', { secret: secret.value.trim() })
  button.disabled = false
  if (!answer.ok) return refuse(answer)
  secret.value = ''
  // A browser that drops a `Secure` cookie would come back here again and again without a word.
  const session = await readSession()
  if (session.ok && session.body !== null) return goOn()
  fill(
    message,
    'The browser did not keep the session’s cookie, which needs HTTPS, or the address 127.0.0.1 or localhost.',
  )
  return undefined
}

function refuse(answer: Answer<unknown> & { ok: false }): void {
  const { code, detail } = answer.problem
  fill(message, code === 'unauthorized' ? 'No API key has this secret.' : detail)
  secret.select()
  secret.focus()
}

/** The part after `#` says which screen was asked for; it comes along. */
function goOn(): void {
  location.replace(`/ops${location.hash}`)
}

function show(): void {
  const why = reasons[new URLSearchParams(location.search).get('why') ?? '']
  document.body.append(
    h(
      'main',
      { class: 'login' },
      h(
        'form',
        { class: 'login-card', onsubmit: (event: Event) => void logIn(event) },
        h('h1', { class: 'brand' }, icon(bell, 'icon brand-mark'), 'Knell'),
        h(
          'p',
          { class: 'muted' },
          why ?? 'Is a revoked token dead everywhere? Log in to see, and to act.',
        ),
        h('label', { for: 'secret' }, 'Secret of an API key'),
        secret,
        h(
          'p',
          { id: 'secret-hint', class: 'hint' },
          'The dashboard may do what this key may do, and no more. The key needs the scope ',
          h('code', {}, 'ops:read'),
          '.',
        ),
        message,
        button,
      ),
    ),
  )
  secret.focus()
}

// A link from another site brings no cookie along, but this page’s own call does.
const session = await readSession()
if (session.ok && session.body !== null) goOn()
else show()
