import { chart, minuteOf, type Chart, type Series } from '../../charts.ts'
import { fill } from '../../dom.ts'
import { count, duration, plural, short } from '../../format.ts'
import { clearProblem, empty, panel, showProblem } from '../../parts/panel.ts'
import type { Part } from '../../parts/part.ts'
import type { Context } from '../../screen.ts'
import type { Topic } from '../../stream.ts'
import { isRefused, type Refused, type Topics } from '../../types.ts'

/** A notifier that has only just begun knows little of its last hour; less than this is not spread out. */
const HOUR = { seconds: 900, ends: 'last' } as const
const NEXT = { seconds: 3600, ends: 'first' } as const

interface Drawn {
  readonly series: Series
  readonly summary: string
  /** What stands there instead where there is nothing to draw. */
  readonly nothing?: readonly [string, string]
}

type Answer<K extends Topic> = Exclude<Topics[K], Refused>

function chartPanel<K extends 'overview' | 'due'>(
  { stream }: Context,
  topic: K,
  title: string,
  drawing: Chart,
  draw: (data: Answer<K>) => Drawn,
): Part {
  const { element, body } = panel(title, { class: 'panel-chart' })
  const end = stream.on(topic, (data) => {
    if (isRefused(data)) return showProblem(body, data.problem)
    clearProblem(body)
    const { series, summary, nothing } = draw(data as Answer<K>)
    if (nothing !== undefined) return fill(body, empty(...nothing))
    if (drawing.element.parentNode !== body) fill(body, drawing.element)
    return drawing.show(series, summary)
  })
  return {
    element,
    end: () => {
      end()
      drawing.destroy()
    },
  }
}

/** How long it takes from the commit until RabbitMQ has given the entry back. */
export function pushChart(context: Context): Part {
  const lines = [
    { label: 'p50', colour: '--chart-1' },
    { label: 'p99', colour: '--chart-2', isDashed: true },
  ]
  const label = 'Push latency over the last hour'
  const drawing = chart({ label, lines, format: duration, span: HOUR })
  return chartPanel(context, 'overview', 'Push latency, last hour', drawing, ({ push }) => {
    const { hour } = push
    const seen = hour.filter(({ count: each }) => each > 0)
    const worst = Math.max(0, ...seen.map(({ p99Ms }) => p99Ms ?? 0))
    return {
      series: [
        hour.map(({ at }) => at / 1000),
        hour.map(({ p50Ms }) => p50Ms),
        hour.map(({ p99Ms }) => p99Ms),
      ],
      summary: `${label}: the worst minute had a p99 of ${duration(worst)}.`,
      ...(seen.length === 0
        ? {
            nothing: [
              'Nothing was pushed',
              'Revoke something, and its way through RabbitMQ shows here.',
            ] as const,
          }
        : {}),
    }
  })
}

export function expiryChart(context: Context): Part {
  const label = 'Expiries per second over the last hour'
  const lines = [{ label: 'per second', colour: '--chart-1', isFilled: true }]
  const drawing = chart({ label, lines, format: short, span: HOUR })
  return chartPanel(
    context,
    'overview',
    'Expiries per second, last hour',
    drawing,
    ({ hourExpiries }) => {
      const most = Math.max(0, ...hourExpiries.map(({ perSecond }) => perSecond ?? 0))
      return {
        series: [
          hourExpiries.map(({ at }) => at / 1000),
          hourExpiries.map(({ perSecond }) => perSecond),
        ],
        summary: `${label}: at most ${short(most)}.`,
        ...(most === 0
          ? {
              nothing: [
                'No token has expired',
                'A token that is registered (POST /v1/tokens) is announced here when it expires.',
              ] as const,
            }
          : {}),
      }
    },
  )
}

/** How many registered tokens expire in each of the next sixty minutes. */
export function dueChart(context: Context): Part {
  const label = 'Tokens due in each minute of the next hour'
  const lines = [{ label: 'tokens', colour: '--chart-1' }]
  const drawing = chart({ label, lines, kind: 'bars', format: count, isWhole: true, span: NEXT })
  return chartPanel(context, 'due', 'Due in the next hour', drawing, ({ at, minutes }) => {
    const all = minutes.reduce((sum, each) => sum + each, 0)
    const most = Math.max(0, ...minutes)
    const from = Math.floor(at / 1000)
    return {
      series: [minutes.map((_, minute) => from + minute * 60), minutes],
      summary: `${label}: ${plural(all, 'token')} in all, at most ${count(most)} in a minute, at ${minuteOf(from + minutes.indexOf(most) * 60)}.`,
      ...(all === 0
        ? {
            nothing: [
              'Nothing is due',
              'Tokens that are registered show here in the hour before they expire.',
            ] as const,
          }
        : {}),
    }
  })
}
