import { askReplay } from '../../actions/others.ts'
import { select, type Field } from '../../actions/fields.ts'
import { call, explain } from '../../api.ts'
import { fill, h } from '../../dom.ts'
import { matchText, plural, time, type Match } from '../../format.ts'
import { empty, panel } from '../../parts/panel.ts'
import type { Part } from '../../parts/part.ts'
import { table } from '../../parts/table.ts'
import type { Context } from '../../screen.ts'
import { mayDo } from '../../session.ts'
import { isRefused, type DeadLetter } from '../../types.ts'

interface Found {
  readonly dead: readonly DeadLetter[]
  readonly total?: number
  readonly more: boolean
}

/** What the handlers of a service gave up, to be looked at and put back. */
export function deadPanel({ stream, session }: Context): Part {
  const { element, body, aside } = panel('Dead letters', {
    hint: 'what handlers gave up, oldest first',
  })
  if (!mayDo(session, 'ops:write')) {
    fill(
      body,
      h(
        'p',
        { class: 'part-problem' },
        'Your API key may not see dead letters: it needs the scope ops:write.',
      ),
    )
    return { element, end: () => {} }
  }
  const chosen = new Set<string>()
  let letters: readonly DeadLetter[] = []
  let total = 0
  let services: Field | undefined
  let known = ''
  let asked = 0
  const some = h(
    'button',
    { type: 'button', class: 'small', onclick: () => replay(false) },
    'Replay chosen …',
  )
  const all = h(
    'button',
    { type: 'button', class: 'small', onclick: () => replay(true) },
    'Replay all …',
  )
  const again = h(
    'button',
    { type: 'button', class: 'small quiet', onclick: () => void read() },
    'Read again',
  )
  const summary = h('p', { class: 'panel-note', role: 'status' })
  const holder = h('div')
  const rows = table<DeadLetter>(
    'Dead letters',
    [
      { title: 'Choose', cell: (letter) => ({ key: letter.key, make: () => chooser(letter) }) },
      { title: 'Given up', cell: ({ deadAt }) => (deadAt === undefined ? '–' : time(deadAt)) },
      { title: 'Event', cell: ({ kind }) => kind ?? 'dropped or poison' },
      { title: 'Whom', cell: whomText },
      {
        title: 'Error',
        cell: ({ error }) =>
          error === undefined ? '–' : `${error.name}: ${error.message}`.slice(0, 160),
      },
      {
        title: 'Attempts',
        isNumber: true,
        isExtra: true,
        cell: ({ attempts }) => String(attempts ?? '–'),
      },
    ],
    ({ key }) => key,
  )
  fill(body, holder)
  fill(holder, h('p', { class: 'panel-note' }, 'Looking …'))
  const end = stream.on('subscribers', (data) => {
    // Which services there are is kept: what they gave up can be read again as soon as somebody answers.
    if (isRefused(data)) {
      if (services === undefined)
        fill(holder, h('p', { class: 'part-problem' }, explain(data.problem)))
      return
    }
    const names = data.handlers.map(({ service }) => service)
    if (names.length === 0 && services === undefined) return fill(holder, noHandlers())
    if (names.join() === known || names.length === 0) return
    known = names.join()
    services = select(
      'Service',
      names.map((name) => [name, name]),
      services?.value() ?? names[0] ?? '',
    )
    services.element.addEventListener('change', () => void read())
    fill(aside, some, all, again)
    fill(body, h('div', { class: 'panel-filter' }, services.element), summary, holder)
    void read()
  })
  judge()

  async function read(): Promise<void> {
    const service = services?.value()
    if (service === undefined) return
    asked += 1
    const mine = asked
    const answer = await call<Found>(
      'GET',
      `/v1/dead?${new URLSearchParams({ service, limit: '200' })}`,
    )
    if (mine !== asked) return
    chosen.clear()
    if (!answer.ok) {
      letters = []
      fill(summary)
      fill(holder, h('p', { class: 'part-problem' }, explain(answer.problem)))
      return judge()
    }
    letters = answer.body.dead
    total = answer.body.total ?? letters.length
    fill(
      summary,
      letters.length === 0
        ? null
        : `${plural(total, 'dead letter')}${answer.body.more ? `; the oldest ${letters.length} are shown` : ''}`,
    )
    rows.show(letters)
    fill(
      holder,
      letters.length === 0
        ? empty(
            `Nothing was given up by ${service}`,
            'A handler that fails on an event tries again, later and later; what fails to the end lies here.',
          )
        : rows.element,
    )
    return judge()
  }

  function chooser(letter: DeadLetter): HTMLElement {
    const box = h('input', {
      type: 'checkbox',
      'aria-label': `Choose ${letter.key}`,
      onchange: () => {
        if (box.checked) chosen.add(letter.key)
        else chosen.delete(letter.key)
        judge()
      },
    })
    return box
  }

  function judge(): void {
    some.disabled = chosen.size === 0
    all.disabled = letters.length === 0
  }

  function replay(isAll: boolean): void {
    const service = services?.value() ?? ''
    const picked = isAll ? letters : letters.filter(({ key }) => chosen.has(key))
    askReplay(service, picked, isAll, total, () => void read())
  }

  return { element, end }
}

function noHandlers(): HTMLElement {
  return empty(
    'No service has handlers',
    'What a handler fails on too often lies here until somebody puts it back.',
  )
}

function whomText({ event = {} }: DeadLetter): string {
  const { match, jti, sub } = event
  if (typeof match === 'object' && match !== null) return matchText(match as Match)
  if (typeof jti === 'string') return `jti = ${jti}`
  return typeof sub === 'string' ? `sub = ${sub}` : '–'
}
