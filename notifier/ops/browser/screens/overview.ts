import { askRevoke } from '../actions/revoke.ts'
import { h } from '../dom.ts'
import { gauge } from '../icons.ts'
import type { Screen } from '../screen.ts'
import { mayDo } from '../session.ts'
import { dueChart, expiryChart, pushChart } from './overview/charts.ts'
import { keyFigures } from './overview/key-figures.ts'
import { recentPanel } from './overview/recent.ts'
import { troubles } from './overview/troubles.ts'
import { verdict } from './overview/verdict.ts'
import { workPanel } from './overview/work.ts'

/** The first screen: is everything enforced, how fast, and what waits. */
export const overview: Screen = {
  path: '',
  title: 'Overview',
  icon: gauge,
  actions: (context) =>
    mayDo(context.session, 'revocations:write') || mayDo(context.session, 'revocations:mass')
      ? [
          h('button', { type: 'button', onclick: () => askRevoke(context, 'hold') }, 'Hold …'),
          h(
            'button',
            { type: 'button', class: 'danger', onclick: () => askRevoke(context, 'revoke') },
            'Revoke …',
          ),
        ]
      : [],
  mount(root, context) {
    const parts = [
      troubles(context),
      verdict(context),
      keyFigures(context),
      recentPanel(context),
      pushChart(context),
      expiryChart(context),
      dueChart(context),
      workPanel(context),
    ]
    const [trouble, answer, numbers, recent, push, expiry, due, work] = parts.map(
      ({ element }) => element,
    )
    root.append(
      ...[trouble, answer, numbers].flatMap((element) => element ?? []),
      h('div', { class: 'grid' }, recent, work, push, expiry, due),
    )
    return () => {
      for (const { end } of parts) end()
    }
  },
}
