import { askRemove } from '../actions/others.ts'
import { fill, h } from '../dom.ts'
import { toneOf, wordOf } from '../enforcement.ts'
import { count, duration, fullTime, NONE, plural, time } from '../format.ts'
import { nodes } from '../icons.ts'
import { clearProblem, empty, panel, showProblem } from '../parts/panel.ts'
import { badge } from '../parts/status.ts'
import { table } from '../parts/table.ts'
import { mayDo } from '../session.ts'
import type { Screen } from '../screen.ts'
import { isRefused, type HandlerService, type Instance } from '../types.ts'

/** Who listens, how far each is, and which services have handlers. */
export const subscribers: Screen = {
  path: 'subscribers',
  title: 'Subscribers',
  icon: nodes,
  mount(root, { stream, session, tenant }) {
    const views = panel('Instances', { hint: 'each holds all live rules in its own memory' })
    const handlers = panel('Services with handlers', {
      hint: 'each is owed every event, whether it runs or not',
    })
    const mayRemove = mayDo(session, 'ops:write')
    const rows = table<Instance>(
      'Instances of services',
      [
        { title: 'Service', cell: ({ service }) => service },
        {
          title: 'Instance',
          cell: ({ instance }) => ({
            key: instance,
            make: () => h('span', { class: 'mono' }, instance),
          }),
        },
        {
          title: 'State',
          cell: (each) => ({
            key: `${toneOf(each)} ${wordOf(each)}`,
            make: () => badge(toneOf(each), wordOf(each)),
          }),
        },
        { title: 'Behind', isNumber: true, cell: ({ behind }) => count(behind) },
        { title: 'View is old', isNumber: true, cell: ({ staleMs }) => duration(staleMs) },
        {
          title: 'May be',
          isNumber: true,
          isExtra: true,
          cell: ({ maxStalenessMs }) =>
            maxStalenessMs === null ? 'any age' : duration(maxStalenessMs),
        },
        {
          title: 'Last heard',
          isNumber: true,
          cell: ({ lastSeenMs }) => `${duration(lastSeenMs)} ago`,
        },
        {
          title: 'Joined',
          isExtra: true,
          cell: ({ joinedAt }) => ({
            key: String(joinedAt),
            make: () => h('span', { title: fullTime(joinedAt) }, time(joinedAt)),
          }),
        },
        { title: 'As', isExtra: true, cell: ({ key, user }) => key ?? user ?? NONE },
        ...(mayRemove ? [{ title: 'Action', cell: removeCell }] : []),
      ],
      ({ service, instance }) => `${service} ${instance}`,
    )
    const services = table<HandlerService>(
      'Services with handlers',
      [
        { title: 'Service', cell: ({ service }) => service },
        { title: 'Handles', cell: ({ kinds }) => kinds.join(', ') },
        { title: 'Attempts', isNumber: true, cell: ({ maxAttempts }) => count(maxAttempts) },
        {
          title: 'Open entries',
          cell: ({ marks }) => {
            const open = marks.reduce((sum, mark) => sum + mark.open, 0)
            const text = open === 0 ? 'none' : plural(open, 'entry', 'entries')
            return { key: text, make: () => badge(open === 0 ? 'good' : 'attention', text) }
          },
        },
      ],
      ({ service }) => service,
    )

    function removeCell(each: Instance) {
      return {
        key: each.instance,
        make: () =>
          h(
            'button',
            {
              type: 'button',
              class: 'small',
              'aria-label': `Remove ${each.service} ${each.instance}`,
              onclick: () => askRemove(tenant, each),
            },
            'Remove …',
          ),
      }
    }

    root.append(views.element, handlers.element)
    return stream.on('subscribers', (data) => {
      if (isRefused(data)) {
        showProblem(views.body, data.problem)
        showProblem(handlers.body, data.problem)
        return
      }
      clearProblem(views.body)
      clearProblem(handlers.body)
      show(views.body, rows.element, data.subscribers.length === 0, () =>
        empty(
          'Nobody listens yet',
          'A service joins by itself when it connects: connect({ service, amqp, pull, apiKey }) of knell/subscriber.',
        ),
      )
      show(handlers.body, services.element, data.handlers.length === 0, () =>
        empty(
          'No service has a handler',
          'A handler runs once for each event, such as to close sessions or to clear a cache: subscriber.handle(…).',
        ),
      )
      rows.show(data.subscribers)
      services.show(data.handlers)
    })
  },
}

/** Changes only between having something and not, so that the table stays the same element. */
function show(
  body: HTMLElement,
  full: HTMLElement,
  isEmpty: boolean,
  nothing: () => HTMLElement,
): void {
  if (isEmpty) {
    if (body.dataset['empty'] !== 'true') fill(body, nothing())
    body.dataset['empty'] = 'true'
  } else {
    delete body.dataset['empty']
    if (full.parentNode !== body) fill(body, full)
  }
}
