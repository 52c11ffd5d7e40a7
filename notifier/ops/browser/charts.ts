import { fill, h } from './dom.ts'
import uPlot from './vendor/uPlot.esm.js'

export interface Line {
  readonly label: string
  /** The name of a custom property that holds the colour. */
  readonly colour: string
  readonly isDashed?: boolean
  readonly isFilled?: boolean
}

export interface ChartOptions {
  /** What the chart shows, for whoever does not see it. */
  readonly label: string
  readonly lines: readonly Line[]
  readonly kind?: 'lines' | 'bars'
  /** How a value is written on the axis and in the table. */
  readonly format: (value: number) => string
  /** How a moment (seconds) is written. */
  readonly formatX?: (seconds: number) => string
  readonly height?: number
  /** How long the time shown is at least, in seconds; what is not known of it stays empty. */
  readonly span?: { readonly seconds: number; readonly ends: 'first' | 'last' }
  /** Values are whole numbers, so the axis has no steps between them. */
  readonly isWhole?: boolean
}

/** Moments in seconds, then a row of values for each line; null where nothing is known. */
export type Series = readonly [readonly number[], ...(readonly (number | null)[])[]]

export interface Chart {
  readonly element: HTMLElement
  show(series: Series, summary: string): void
  destroy(): void
}

const WHOLE = [1, 2, 5]
  .flatMap((step) => [0, 1, 2, 3, 4, 5, 6].map((power) => step * 10 ** power))
  .toSorted((a, b) => a - b)

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
export const minuteOf = (seconds: number): string => clock.format(new Date(seconds * 1000))

/**
 * A chart on a canvas, with what it shows as a sentence and as a table for whoever does not see it
 * or wants the figures. Colours come from the style sheet, so it is drawn anew when the theme changes.
 */
export function chart(options: ChartOptions): Chart {
  const { lines, format, formatX = minuteOf, height = 150 } = options
  const canvas = h('div', { class: 'chart-canvas', 'aria-hidden': 'true' })
  const readout = h('p', { class: 'chart-readout', 'aria-hidden': 'true' })
  const summary = h('figcaption', { class: 'sr-only' })
  const figures = h('div', { class: 'chart-figures' })
  const details = h('details', { class: 'chart-table' }, h('summary', {}, 'Figures'), figures)
  const legend = lines.map(({ label, colour, isDashed }) =>
    h('span', { class: `key key-${colour.slice(2)} ${isDashed ? 'key-dashed' : ''}` }, label),
  )
  const element = h(
    'figure',
    { class: 'chart', 'aria-label': options.label },
    h('div', { class: 'chart-legend' }, ...(lines.length > 1 ? legend : []), readout),
    canvas,
    summary,
    details,
  )
  let series: Series = [[]]
  let plot: uPlot | undefined

  const draw = (): void => {
    plot?.destroy()
    plot = undefined
    const width = canvas.clientWidth
    if (width === 0 || series[0].length === 0) return
    const more = { width, height, onIndex: (index: number | null) => tell(index) }
    plot = new uPlot(plotOptions(options, formatX, more), series as uPlot.AlignedData, canvas)
  }
  const tell = (index: number | null): void => {
    const at = index === null ? undefined : series[0][index]
    if (index === null || at === undefined) return fill(readout)
    const values = lines.map(({ label }, line) => {
      const value = series[line + 1]?.[index]
      return `${lines.length > 1 ? `${label} ` : ''}${value === null || value === undefined ? 'none' : format(value)}`
    })
    fill(readout, `${formatX(at)}: ${values.join(', ')}`)
  }
  const showFigures = (): void => {
    if (details.open) fill(figures, figuresOf(options, formatX, series))
  }
  details.addEventListener('toggle', showFigures)
  let drawnWidth = 0
  const resized = new ResizeObserver(() => {
    if (canvas.clientWidth === drawnWidth) return
    drawnWidth = canvas.clientWidth
    draw()
  })
  resized.observe(canvas)
  document.addEventListener('knell-theme', draw)
  const dark = matchMedia('(prefers-color-scheme: dark)')
  dark.addEventListener('change', draw)

  return {
    element,
    show(next, text) {
      series = next
      if (summary.textContent !== text) fill(summary, text)
      if (plot === undefined) draw()
      else plot.setData(series as uPlot.AlignedData)
      showFigures()
    },
    destroy() {
      resized.disconnect()
      document.removeEventListener('knell-theme', draw)
      dark.removeEventListener('change', draw)
      plot?.destroy()
    },
  }
}

function figuresOf(
  { label, lines, format }: ChartOptions,
  formatX: (seconds: number) => string,
  [moments, ...rows]: Series,
): HTMLElement {
  const body = moments.map((at, index) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, formatX(at)),
      ...rows.map((row) => {
        const value = row[index]
        return h(
          'td',
          { class: 'num' },
          value === null || value === undefined ? '–' : format(value),
        )
      }),
    ),
  )
  return h(
    'div',
    { class: 'table-scroll figures-scroll', tabindex: '0', role: 'group', 'aria-label': label },
    h(
      'table',
      {},
      h('caption', { class: 'sr-only' }, label),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          h('th', { scope: 'col' }, 'time'),
          ...lines.map((line) => h('th', { scope: 'col', class: 'num' }, line.label)),
        ),
      ),
      h('tbody', {}, ...body),
    ),
  )
}

function plotOptions(
  { kind = 'lines', lines, format, isWhole, span }: ChartOptions,
  formatX: (seconds: number) => string,
  {
    width,
    height,
    onIndex,
  }: { width: number; height: number; onIndex: (index: number | null) => void },
): uPlot.Options {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`
  const grid = { stroke: colour('--line'), width: 1 }
  const axis = { stroke: colour('--muted'), font, ticks: { show: false } }
  const isBars = kind === 'bars'
  const bars = uPlot.paths.bars?.({ size: [0.8, 24], align: 1 })
  return {
    width,
    height,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: !isBars, size: 6 } },
    hooks: { setCursor: [(plot) => onIndex(plot.cursor.idx ?? null)] },
    scales: {
      x: {
        time: true,
        range: (_plot, first, last): [number, number] => {
          if (span === undefined) return [first, last]
          const { seconds } = span
          return span.ends === 'last'
            ? [Math.min(first, last - seconds), last]
            : [first, Math.max(last, first + seconds)]
        },
      },
      // From zero, and never so close that a flat line looks like a storm.
      y: { range: (_plot, _least, most) => [0, Math.max(most * 1.1, 1)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        values: (_plot, splits) => splits.map(formatX),
        space: 64,
      },
      {
        ...axis,
        grid,
        size: 52,
        space: 32,
        values: (_plot, splits) => splits.map(format),
        ...(isWhole === true ? { incrs: WHOLE } : {}),
      },
    ],
    series: [
      {},
      ...lines.map((line): uPlot.Series => {
        const stroke = colour(line.colour)
        return {
          label: line.label,
          stroke,
          width: isBars ? 0 : 1.5,
          points: isBars ? { show: false } : { show: true, size: 5, filter: alone },
          spanGaps: false,
          ...(line.isDashed === true ? { dash: [4, 3] } : {}),
          ...(isBars || line.isFilled === true ? { fill: isBars ? stroke : faint(stroke) } : {}),
          ...(isBars && bars !== undefined ? { paths: bars } : {}),
        }
      }),
    ],
  }
}

/** The values that no line leads to or from, which would not be seen without a point. */
function alone(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? []
  const isKnown = (index: number): boolean => typeof values[index] === 'number'
  return Array.from({ length: values.length }, (_, index) => index).filter(
    (index) => isKnown(index) && !isKnown(index - 1) && !isKnown(index + 1),
  )
}

/** The colour that a custom property stands for in the theme of now, as a canvas takes it. */
function colour(name: string): string {
  const probe = h('span', { hidden: true })
  probe.style.color = `var(${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

function faint(rgb: string): string {
  return rgb.replace(/^rgb\((.+)\)$/, 'rgba($1, 0.15)')
}
