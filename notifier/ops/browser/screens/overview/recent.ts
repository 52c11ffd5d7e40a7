import { fill, h } from '../../dom.ts'
import { count, duration, matchText, time } from '../../format.ts'
import { nameOf } from '../../enforcement.ts'
import { clearProblem, empty, panel, showProblem } from '../../parts/panel.ts'
import type { Part } from '../../parts/part.ts'
import { badge } from '../../parts/status.ts'
import { table, type Cell } from '../../parts/table.ts'
import type { Context } from '../../screen.ts'
import { isRefused, type RecentItem } from '../../types.ts'

/** What was revoked, held and undone of late, and how far each is enforced. */
export function recentPanel({ stream }: Context): Part {
  const { element, body } = panel('Recent revocations', { class: 'panel-wide' })
  const rows = table<RecentItem>(
    'Recent revocations',
    [
      { title: 'When', cell: ({ at }) => time(at) },
      { title: 'Match', cell: matchCell },
      { title: 'Enforced', cell: enforcedCell },
      { title: 'What', cell: ({ kind }) => kind },
      { title: 'Reason', cell: ({ reason }) => reason ?? '–' },
    ],
    ({ tenant, shard, epoch, seq, match }) =>
      `${tenant} ${shard} ${epoch} ${seq} ${JSON.stringify(match)}`,
  )
  const end = stream.on('recent', (data) => {
    if (isRefused(data)) return showProblem(body, data.problem)
    clearProblem(body)
    const { recent } = data
    if (recent.length === 0) {
      return fill(
        body,
        empty(
          'Nothing was revoked yet',
          'Each revocation shows here within a moment, with the number of instances that refuse its tokens.',
        ),
      )
    }
    if (rows.element.parentNode !== body) fill(body, rows.element)
    return rows.show(recent)
  })
  return { element, end }
}

function matchCell({ match }: RecentItem): Cell {
  const text = matchText(match)
  const query = new URLSearchParams({ match: JSON.stringify(match) })
  return {
    key: text,
    make: () => h('a', { href: `#/token?${query}`, class: 'mono' }, text),
  }
}

function enforcedCell({ live, applied, missing, enforcedMs }: RecentItem): Cell {
  const isDone = missing.length === 0
  const took = enforcedMs === null ? '' : ` in ${duration(enforcedMs)}`
  const text =
    live === 0 ? 'nobody listens' : `on ${count(applied)} of ${count(live)}${isDone ? took : ''}`
  const lacking = missing.slice(0, 3).map(nameOf).join(', ')
  return {
    key: `${text} ${lacking}`,
    make: () =>
      h(
        'span',
        { class: 'enforced' },
        badge(live === 0 ? 'unknown' : isDone ? 'good' : 'attention', text),
        lacking === '' ? null : h('span', { class: 'muted' }, ` not yet: ${lacking}`),
      ),
  }
}
