import { fill, h } from './dom.ts'
import { explain, whenSessionEnds } from './api.ts'
import { audit } from './screens/audit.ts'
import { overview } from './screens/overview.ts'
import { queues } from './screens/queues.ts'
import { subscribers } from './screens/subscribers.ts'
import { sweeps } from './screens/sweeps.ts'
import { token } from './screens/token.ts'
import type { Screen } from './screen.ts'
import { readSession, type Session } from './session.ts'
import { shell } from './shell.ts'
import { Stream } from './stream.ts'

const screens: readonly [Screen, ...Screen[]] = [
  overview,
  token,
  subscribers,
  queues,
  sweeps,
  audit,
]

/** While somebody is there, the session is told so this often; nobody there lets it end. */
const RENEW_MS = 60_000
const RETRY_MS = 3000

async function start(): Promise<void> {
  const answer = await readSession()
  if (answer.ok) return answer.body === null ? leave() : run(answer.body)
  fill(
    document.body,
    h(
      'main',
      { class: 'login' },
      h(
        'div',
        { class: 'login-card', role: 'alert' },
        h('h1', {}, 'Nothing can be shown yet'),
        h('p', {}, explain(answer.problem)),
        h('p', { class: 'muted' }, 'Trying again by itself.'),
      ),
    ),
  )
  setTimeout(() => location.reload(), RETRY_MS)
  return undefined
}

function leave(): void {
  location.replace(`/ops/login?why=ended${location.hash}`)
}

function run(session: Session): void {
  let tenant = chosenTenant(session)
  let unmount: (() => void) | undefined
  const frame = shell(session, screens, {
    tenant,
    onTenant: (chosen) => {
      tenant = chosen
      sessionStorage.setItem('knell-tenant', chosen)
      stream.open(chosen)
      route(false)
    },
  })
  const stream = new Stream({ onEnded: leave })
  stream.onLiveness((state) => frame.showLiveness(state))
  whenSessionEnds(leave)

  function route(isMove: boolean): void {
    const [path, query] = location.hash.replace(/^#\/?/, '').split('?')
    const screen = screens.find((each) => each.path === path) ?? screens[0]
    unmount?.()
    const root = h('div', { class: `screen screen-${screen.path}` })
    fill(frame.root, root)
    const context = { session, stream, tenant, query: new URLSearchParams(query) }
    frame.showScreen(screen, context)
    unmount = screen.mount(root, context)
    // Whoever goes by keyboard or hears the page begins at the new screen.
    if (isMove) frame.main.focus({ preventScroll: true })
    if (isMove) scrollTo(0, 0)
  }

  addEventListener('hashchange', () => route(true))
  stream.open(tenant)
  route(false)
  renewWhileUsed()
}

function chosenTenant({ tenants }: Session): string {
  const kept = sessionStorage.getItem('knell-tenant')
  return tenants.find((name) => name === kept) ?? tenants[0] ?? 'default'
}

function renewWhileUsed(): void {
  let renewedAt = Date.now()
  const used = (): void => {
    if (Date.now() - renewedAt < RENEW_MS) return
    renewedAt = Date.now()
    void readSession().then((answer) => {
      if (answer.ok && answer.body === null) leave()
      return undefined
    })
  }
  for (const event of ['pointermove', 'pointerdown', 'keydown', 'scroll']) {
    addEventListener(event, used, { passive: true })
  }
}

await start()
