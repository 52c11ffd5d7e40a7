import { call } from './api.ts'
import { fill, h, icon, setText } from './dom.ts'
import { time, timeZone } from './format.ts'
import { bell, jobs, leave, sun } from './icons.ts'
import { fadeEdge } from './parts/fade-edge.ts'
import { mark } from './parts/status.ts'
import type { Context, Screen } from './screen.ts'
import type { Session } from './session.ts'
import type { Liveness } from './stream.ts'

/** The frame around every screen: where one is, whether what one sees is live, and who one is. */
export interface Shell {
  readonly main: HTMLElement
  /** Where the screen goes. */
  readonly root: HTMLElement
  showLiveness(liveness: Liveness): void
  showScreen(screen: Screen, context: Context): void
}

export function shell(
  session: Session,
  screens: readonly Screen[],
  options: { readonly tenant: string; readonly onTenant: (tenant: string) => void },
): Shell {
  const links = new Map(
    screens.map((screen) => [
      screen,
      h('a', { href: `#/${screen.path}` }, icon(screen.icon), h('span', {}, screen.title)),
    ]),
  )
  const live = h('p', { class: 'live live-connecting', role: 'status' }, 'Connecting')
  const lost = h('div', { class: 'lost', role: 'status' })
  const heading = h('h1', { tabindex: '-1' })
  const actions = h('div', { class: 'top-actions' })
  const root = h('div')
  const main = h(
    'main',
    { id: 'main', class: 'content', tabindex: '-1' },
    h('div', { class: 'top' }, heading, actions, live),
    lost,
    root,
    h('p', { class: 'zone' }, `Clock times are those of ${timeZone()}.`),
  )
  const list = h(
    'ul',
    {},
    ...[...links.values()].map((link) => h('li', {}, link)),
    jobsItem(session),
  )
  const nav = h('nav', { 'aria-label': 'Screens' }, list)
  fadeEdge(nav, list)
  document.body.append(
    h('a', { class: 'skip', href: '#main', onclick: skip }, 'Skip to the content'),
    h(
      'div',
      { class: 'frame' },
      h(
        'header',
        { class: 'side' },
        h('p', { class: 'brand' }, icon(bell, 'icon brand-mark'), 'Knell'),
        nav,
        h(
          'div',
          { class: 'side-foot' },
          tenantPicker(session, options),
          h('div', { class: 'side-buttons' }, themeButton(), logoutButton(session)),
        ),
      ),
      main,
    ),
  )

  function skip(event: Event): void {
    event.preventDefault()
    main.focus()
  }

  return {
    main,
    root,
    showLiveness(liveness) {
      const { state } = liveness
      live.className = `live live-${state}`
      setText(live, wordsOf(liveness))
      // Then nothing of the screen keeps the colour of success.
      main.classList.toggle('is-lost', state === 'stale')
      fill(lost, state === 'stale' ? lostNote(liveness.since) : null)
    },
    showScreen(screen, context) {
      for (const [each, link] of links) {
        if (each === screen) link.setAttribute('aria-current', 'page')
        else link.removeAttribute('aria-current')
      }
      setText(heading, screen.title)
      document.title = `${screen.title} · Knell`
      fill(actions, ...(screen.actions?.(context) ?? []))
      // Into view within its strip, where the screens are a strip.
      links.get(screen)?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
    },
  }
}

function wordsOf(liveness: Liveness): string {
  switch (liveness.state) {
    case 'connecting':
      return 'Connecting'
    case 'live':
      return 'Live'
    case 'ended':
      return 'Session over'
    case 'reconnecting':
      return 'Reconnecting'
    case 'stale':
      return `Stale since ${time(liveness.since)}`
  }
}

function lostNote(since: number): HTMLElement {
  return h(
    'div',
    { class: 'trouble trouble-bad' },
    mark('bad'),
    h(
      'div',
      {},
      h('p', { class: 'trouble-title' }, 'The notifier cannot be reached'),
      h(
        'p',
        {},
        `What is shown is as it was at ${time(since)}, and actions reach nothing until it is back. Services go on by their views.`,
      ),
    ),
  )
}

function jobsItem({ ofAllTenants }: Session): HTMLElement | null {
  if (!ofAllTenants) return null
  // Another page: bull-board, which the notifier serves as it is.
  return h('li', {}, h('a', { href: '/ops/jobs' }, icon(jobs), h('span', {}, 'Jobs')))
}

function tenantPicker(
  { tenants }: Session,
  { tenant, onTenant }: { tenant: string; onTenant: (tenant: string) => void },
): HTMLElement | null {
  if (tenants.length < 2) return null
  const select = h(
    'select',
    { id: 'tenant', onchange: () => onTenant(select.value) },
    ...tenants.map((name) => h('option', { value: name, selected: name === tenant }, name)),
  )
  return h('div', { class: 'tenant' }, h('label', { for: 'tenant' }, 'Tenant'), select)
}

function themeButton(): HTMLElement {
  return h(
    'button',
    { type: 'button', class: 'quiet', onclick: switchTheme },
    icon(sun),
    h('span', {}, 'Theme'),
  )
}

function switchTheme(): void {
  const { dataset } = document.documentElement
  const isDark =
    dataset['theme'] === undefined
      ? matchMedia('(prefers-color-scheme: dark)').matches
      : dataset['theme'] === 'dark'
  dataset['theme'] = isDark ? 'light' : 'dark'
  try {
    localStorage.setItem('knell-theme', dataset['theme'])
  } catch {
    // It then holds until the page is left.
  }
  document.dispatchEvent(new Event('knell-theme'))
}

function logoutButton({ key, isOpen }: Session): HTMLElement {
  if (isOpen) return h('p', { class: 'muted' }, 'No authentication (--dev)')
  return h(
    'button',
    {
      type: 'button',
      class: 'quiet',
      onclick: () => void logOut(),
      title: `Logged in with the API key “${key}”`,
    },
    icon(leave),
    h('span', {}, `Log out ${key}`),
  )
}

async function logOut(): Promise<void> {
  await call('DELETE', '/ops/session')
  location.replace('/ops/login?why=out')
}
