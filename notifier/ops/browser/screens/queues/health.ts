import { fill, h, type Child } from '../../dom.ts'
import { capital, count, duration, plural } from '../../format.ts'
import { clearProblem, empty, panel, showProblem } from '../../parts/panel.ts'
import type { Part } from '../../parts/part.ts'
import { badge } from '../../parts/status.ts'
import { table } from '../../parts/table.ts'
import { areCounted, NOT_COUNTED, toneOfVerdict } from '../../queues.ts'
import type { Context } from '../../screen.ts'
import { isRefused, type QueueRow, type Queues } from '../../types.ts'

type Show = (report: Queues) => readonly Child[] | undefined

/** A part that shows something of the queues' report; undefined: what it shows already is kept. */
function part({ stream }: Context, title: string, show: Show, hint?: string): Part {
  const { element, body } = panel(title, hint === undefined ? {} : { hint })
  const end = stream.on('queues', (data) => {
    if (isRefused(data)) return showProblem(body, data.problem)
    clearProblem(body)
    const children = show(data)
    if (children !== undefined) fill(body, ...children)
    return undefined
  })
  return { element, end }
}

const names: Readonly<Record<string, string>> = {
  store: 'Store (Redis)',
  rabbitmq: 'RabbitMQ',
  queues: 'Queues',
  bullmq: 'Jobs (BullMQ)',
  relay: 'Relay',
  sweep: 'Sweeps',
}

export function verdictPanel(context: Context): Part {
  let shown = ''
  return part(context, 'How the queues are', ({ verdict, reason, parts }) => {
    const key = JSON.stringify([verdict, reason, parts])
    if (key === shown) return undefined
    shown = key
    return [
      h(
        'p',
        { class: 'queue-verdict', role: 'status' },
        badge(toneOfVerdict(verdict), verdict),
        ` ${capital(reason)}`,
      ),
      h(
        'ul',
        { class: 'parts-list' },
        ...parts.map((each) =>
          h(
            'li',
            {},
            badge(toneOfVerdict(each.verdict), each.verdict),
            h('strong', {}, names[each.part] ?? each.part),
            h('span', { class: 'muted' }, capital(each.reason)),
          ),
        ),
      ),
    ]
  })
}

export function rabbitPanel(context: Context): Part {
  const rows = table<QueueRow>(
    'Queues in RabbitMQ',
    [
      {
        title: 'Queue',
        cell: ({ name }) => ({ key: name, make: () => h('span', { class: 'mono' }, name) }),
      },
      { title: 'Messages', isNumber: true, cell: ({ messages }) => count(messages) },
      { title: 'Ready', isNumber: true, isExtra: true, cell: ({ ready }) => count(ready) },
      { title: 'Unacked', isNumber: true, isExtra: true, cell: ({ unacked }) => count(unacked) },
      { title: 'Consumers', isNumber: true, cell: ({ consumers }) => count(consumers) },
      { title: 'Kind', cell: ({ kind }) => kind },
      { title: 'Known by', isExtra: true, cell: ({ source }) => source },
    ],
    ({ name }) => name,
  )
  const note = h('p', { class: 'panel-note' })
  let isShown = false
  return part(context, 'RabbitMQ', (report) => {
    const { queues, offered } = report
    // Each service has several steps of retries, which are nearly always empty.
    const told = queues.filter(({ kind, messages }) => kind !== 'retry' || messages !== 0)
    rows.show(told)
    fill(note, hiddenText(queues.length - told.length), offeredText(offered))
    if (queues.length === 0) {
      isShown = false
      const nothing = areCounted(report)
        ? empty(
            'No service has a queue',
            'A service that adds a handler gets one. Queues of instances come and go, and are not counted without the management plugin.',
          )
        : empty(...NOT_COUNTED)
      return [nothing, note]
    }
    if (isShown) return undefined
    isShown = true
    return [rows.element, note]
  })
}

function hiddenText(hidden: number): string {
  return hidden === 0 ? '' : `${plural(hidden, 'empty queue')} for retries not shown. `
}

function offeredText(offered: Queues['offered']): string {
  const missing = Object.entries(offered).filter(([, { state }]) => state !== 'offered')
  if (missing.length === 0) return ''
  return `Not offered: ${missing.map(([name, { reason }]) => (reason === '' ? name : `${name} (${reason})`)).join(', ')}. What can be known without is shown.`
}

export function feedPanel(context: Context): Part {
  const rows = table<Queues['feed'][number]>(
    'Feed and relay',
    [
      { title: 'Log', cell: ({ log }) => log },
      { title: 'Entries so far', isNumber: true, cell: ({ tail }) => count(tail) },
      { title: 'Unsent', isNumber: true, cell: ({ unsent }) => count(unsent) },
      {
        title: 'Oldest waits',
        isNumber: true,
        cell: ({ oldestUnsentMs }) => duration(oldestUnsentMs),
      },
    ],
    ({ log }) => log,
  )
  return part(
    context,
    'Feed and relay',
    once(rows.element, ({ feed }) => rows.show(feed)),
  )
}

export function jobsPanel(context: Context): Part {
  const states = ['waiting', 'active', 'delayed', 'failed', 'completed']
  const rows = table<Queues['bullmq'][number]>(
    'Jobs in BullMQ',
    [
      { title: 'Queue', cell: ({ queue }) => queue },
      ...states.map((state) => ({
        title: capital(state),
        isNumber: true,
        isExtra: state === 'delayed' || state === 'completed',
        cell: ({ counts }: Queues['bullmq'][number]) => count(counts[state] ?? 0),
      })),
    ],
    ({ queue }) => queue,
  )
  return part(
    context,
    'Jobs',
    once(rows.element, ({ bullmq }) => rows.show(bullmq)),
  )
}

function once(element: HTMLElement, update: (report: Queues) => void): Show {
  return (report) => {
    update(report)
    return element.isConnected ? undefined : [element]
  }
}
