import { fill, h, setText } from '../../dom.ts'
import { count, NONE } from '../../format.ts'
import { clearProblem, empty, panel, showProblem } from '../../parts/panel.ts'
import type { Part } from '../../parts/part.ts'
import { badge } from '../../parts/status.ts'
import { table, type Cell } from '../../parts/table.ts'
import {
  areCounted,
  NOT_COUNTED,
  servicesIn,
  toneOfVerdict,
  type ServiceWork,
} from '../../queues.ts'
import type { Context } from '../../screen.ts'
import { isRefused } from '../../types.ts'

/** What lies in the store, and waits to be sent. */
function stock(stream: Context['stream']): { element: HTMLElement; end: () => void } {
  const values = ['Live rules', 'Registered tokens', 'Entries not sent yet'].map((name) => {
    const value = h('dd', {}, NONE)
    return { value, row: h('div', {}, h('dt', {}, name), value) }
  })
  const end = stream.on('overview', (data) => {
    if (isRefused(data)) return
    const { rules, tokensWaiting, outbox } = data
    const unsent = outbox === null ? null : outbox.revocations.unsent + outbox.expiries.unsent
    for (const [i, number] of [rules, tokensWaiting, unsent].entries()) {
      const value = values[i]?.value
      if (value !== undefined) setText(value, count(number))
    }
  })
  return { element: h('dl', { class: 'stock' }, ...values.map(({ row }) => row)), end }
}

/** How much waits for the handlers of each service, and what they gave up. */
export function workPanel({ stream }: Context): Part {
  const { element, body, aside } = panel('Queues', { class: 'panel-side' })
  aside.append(h('a', { href: '#/queues' }, 'All queues'))
  const verdict = h('p', { class: 'queue-verdict' })
  const rows = table<ServiceWork>(
    'What waits for the handlers of each service',
    [
      { title: 'Service', cell: ({ service }) => service },
      { title: 'Waiting', isNumber: true, cell: ({ waiting }) => count(waiting) },
      { title: 'Retrying', isNumber: true, cell: ({ retrying }) => count(retrying) },
      { title: 'Dead', isNumber: true, cell: deadCell },
    ],
    ({ service }) => service,
  )
  const lying = stock(stream)
  let shown = ''
  const end = stream.on('queues', (data) => {
    if (isRefused(data)) return showProblem(body, data.problem)
    clearProblem(body)
    const { queues, verdict: word, reason } = data
    const services = servicesIn(queues)
    if (`${word} ${reason}` !== shown) {
      shown = `${word} ${reason}`
      fill(verdict, badge(toneOfVerdict(word), word), ` ${reason}`)
    }
    if (services.length === 0) {
      return fill(
        body,
        verdict,
        areCounted(data)
          ? empty(
              'No service has a queue',
              'A service that adds a handler gets one, which keeps its events while it is away.',
            )
          : empty(...NOT_COUNTED),
        lying.element,
      )
    }
    if (rows.element.parentNode !== body) fill(body, verdict, rows.element, lying.element)
    return rows.show(services)
  })
  return {
    element,
    end: () => {
      end()
      lying.end()
    },
  }
}

function deadCell({ dead }: ServiceWork): Cell {
  const text = count(dead)
  return { key: text, make: () => (dead > 0 ? badge('bad', text) : h('span', {}, text)) }
}
