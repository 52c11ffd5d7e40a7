import { askSweep } from '../actions/others.ts'
import { chart } from '../charts.ts'
import { fill, h } from '../dom.ts'
import { count, duration, fullTime, plural, time } from '../format.ts'
import { broom } from '../icons.ts'
import { clearProblem, empty, panel, showProblem } from '../parts/panel.ts'
import { badge } from '../parts/status.ts'
import { table } from '../parts/table.ts'
import { caughtBy, caughtText } from '../sweeps.ts'
import type { Screen } from '../screen.ts'
import { mayDo } from '../session.ts'
import { isRefused, type SweepReport } from '../types.ts'

const SHOWN = 60

/** What the sweeps caught: how often the push path missed something. */
export const sweeps: Screen = {
  path: 'sweeps',
  title: 'Sweeps',
  icon: broom,
  actions: ({ session }) =>
    mayDo(session, 'ops:write') && session.ofAllTenants
      ? [h('button', { type: 'button', class: 'primary', onclick: askSweep }, 'Sweep now …')]
      : [],
  mount(root, { stream }) {
    const drawn = panel('Caught by each sweep', { class: 'panel-chart' })
    const list = panel('Reports', { hint: 'nothing caught is as it should be' })
    const drawing = chart({
      label: 'What each sweep caught',
      lines: [{ label: 'caught', colour: '--chart-1' }],
      kind: 'bars',
      format: count,
      isWhole: true,
    })
    const rows = table<SweepReport>(
      'Reports of sweeps',
      [
        {
          title: 'When',
          cell: ({ at }) => ({
            key: String(at),
            make: () => h('span', { title: fullTime(at) }, time(at)),
          }),
        },
        {
          title: 'Caught',
          cell: (report) => {
            const caught = caughtBy(report)
            return {
              key: String(caught),
              make: () => badge(caught === 0 ? 'good' : 'attention', count(caught)),
            }
          },
        },
        { title: 'What', cell: caughtText },
        { title: 'Took', isNumber: true, cell: ({ durationMs }) => duration(durationMs) },
        {
          title: 'Unsent left',
          isNumber: true,
          isExtra: true,
          cell: ({ waitingEntries }) => count(waitingEntries),
        },
        {
          title: 'Rules pruned',
          isNumber: true,
          isExtra: true,
          cell: ({ prunedRules }) => count(prunedRules),
        },
        {
          title: 'Entries trimmed',
          isNumber: true,
          isExtra: true,
          cell: ({ trimmedEntries }) => count(trimmedEntries),
        },
        {
          title: 'Silent instances',
          isNumber: true,
          isExtra: true,
          cell: ({ silentInstances }) => count(silentInstances),
        },
        { title: 'By', isExtra: true, cell: ({ trigger }) => trigger },
      ],
      ({ at, trigger }) => `${at} ${trigger}`,
    )
    root.append(drawn.element, list.element)
    const end = stream.on('sweeps', (data) => {
      if (isRefused(data)) {
        showProblem(drawn.body, data.problem)
        showProblem(list.body, data.problem)
        return
      }
      clearProblem(drawn.body)
      clearProblem(list.body)
      const all = data.sweeps
      if (all.length === 0) {
        fill(
          drawn.body,
          empty(
            'No sweep has reported yet',
            'A poller sweeps every few seconds (SWEEP_CRON). Is one running?',
          ),
        )
        fill(list.body)
        return
      }
      const ordered = all.toReversed()
      const caught = ordered.map(caughtBy)
      if (caught.every((each) => each === 0)) {
        fill(
          drawn.body,
          empty(
            'Nothing was missed',
            `The last ${plural(all.length, 'sweep')} caught nothing: the push path did all of it in time.`,
          ),
        )
      } else if (drawing.element.parentNode !== drawn.body) {
        fill(drawn.body, drawing.element)
      }
      drawing.show(
        [ordered.map(({ at }) => at / 1000), caught],
        `Of the last ${plural(all.length, 'sweep')}, ${count(caught.filter((each) => each > 0).length)} caught something.`,
      )
      if (rows.element.parentNode !== list.body) fill(list.body, rows.element)
      rows.show(all.slice(0, SHOWN))
    })
    return () => {
      end()
      drawing.destroy()
    }
  },
}
