import { h } from '../dom.ts'
import { queue } from '../icons.ts'
import type { Screen } from '../screen.ts'
import { deadPanel } from './queues/dead.ts'
import { feedPanel, jobsPanel, rabbitPanel, verdictPanel } from './queues/health.ts'

/** How full everything is, what somebody should do about it, and what handlers gave up. */
export const queues: Screen = {
  path: 'queues',
  title: 'Queues',
  icon: queue,
  mount(root, context) {
    const parts = [verdictPanel, deadPanel, rabbitPanel, feedPanel, jobsPanel].map((make) =>
      make(context),
    )
    const [verdict, dead, rabbit, feed, jobs] = parts.map(({ element }) => element)
    feed?.classList.add('panel-half')
    jobs?.classList.add('panel-half')
    root.append(
      ...[verdict, dead, rabbit].flatMap((each) => each ?? []),
      h('div', { class: 'grid' }, feed, jobs),
    )
    return () => {
      for (const { end } of parts) end()
    }
  },
}
