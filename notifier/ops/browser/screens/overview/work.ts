import { fill, h } from '../../dom.ts'
import { count } from '../../format.ts'
import { clearProblem, empty, panel, showProblem } from '../../parts/panel.ts'
import type { Part } from '../../parts/part.ts'
import { badge } from '../../parts/status.ts'
import { table } from '../../parts/table.ts'
import { toneOfVerdict } from '../../queues.ts'
import type { Context } from '../../screen.ts'
import { isRefused, type QueueRow } from '../../types.ts'

/** How much waits in the queues of services. */
export function workPanel({ stream }: Context): Part {
  const { element, body, aside } = panel('Queues', { class: 'panel-side' })
  aside.append(h('a', { href: '#/queues' }, 'All queues'))
  const verdict = h('p', { class: 'queue-verdict' })
  const rows = table<QueueRow>(
    'Depth of the services’ queues',
    [
      {
        title: 'Queue',
        cell: ({ name, service, kind }) =>
          service === undefined ? name : `${service}${kind === 'service' ? '' : `, ${kind}`}`,
      },
      { title: 'Waiting', isNumber: true, cell: ({ messages }) => count(messages) },
      { title: 'Consumers', isNumber: true, cell: ({ consumers }) => count(consumers) },
    ],
    ({ name }) => name,
  )
  let shown = ''
  const end = stream.on('queues', (data) => {
    if (isRefused(data)) return showProblem(body, data.problem)
    clearProblem(body)
    const { queues, verdict: word, reason } = data
    const own = queues.filter(({ kind }) => kind !== 'instance')
    if (`${word} ${reason}` !== shown) {
      shown = `${word} ${reason}`
      fill(verdict, badge(toneOfVerdict(word), word), ` ${reason}`)
    }
    if (own.length === 0) {
      return fill(
        body,
        verdict,
        empty(
          'No service has a queue',
          'A service that adds a handler gets one, which keeps its events while it is away.',
        ),
      )
    }
    if (rows.element.parentNode !== body) fill(body, verdict, rows.element)
    return rows.show(own)
  })
  return { element, end }
}
