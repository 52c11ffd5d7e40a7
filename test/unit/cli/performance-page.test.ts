import { expect } from 'chai'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { aims, judgeAim } from '../../../shared/cli/bench/aims.ts'
import { cases } from '../../../shared/cli/bench/cases.ts'
import {
  figuresOf,
  headlineOf,
  parseJsonLines,
  toJsonLines,
  withFigures,
  type Run,
} from '../../../shared/cli/bench/page.ts'
import { scalingOf } from '../../../shared/cli/bench/scaling.ts'
import { figurePages, jsonPath } from '../../../shared/cli/bench/write-pages.ts'

const kept = parseJsonLines(readFileSync(jsonPath, 'utf8'))

const run: Run = {
  head: {
    date: '2026-01-02',
    seconds: 600,
    machine: {
      cpu: 'A CPU',
      cores: 2,
      memoryGiB: 8,
      os: 'Linux 6',
      node: '20.19.0',
      redis: '7.0.15 (AOF on)',
      rabbitmq: '3.10.8',
      engines: 'local',
      loadBefore: 0.1,
    },
  },
  lines: [
    {
      case: 'push',
      unit: 'ms',
      knell: { p50: 3 },
      title: 'Push',
      seconds: 2,
      rows: [
        { what: 'p50 ms', knell: '3', floor: '1', aim: judgeAim('push.p50', 3) },
        { what: 'p99 ms', knell: '5', floor: '4', aim: judgeAim('push.p99', 1.25) },
      ],
      notes: ['A note.'],
    },
    { case: 'sweep', title: 'Sweep', seconds: 1, error: 'Redis is away.\n    at somewhere' },
  ],
}

describe('The page of figures', () => {
  it('says of each aim whether it is met, missed or was not measured', () => {
    const text = figuresOf(run)
    expect(text).to.match(/p50 \| 3 \| ≤ 2 × a bare .+ \| \*\*missed\*\* \|/)
    expect(text).to.match(/p99 \| 1.25 \| ≤ 3 × a bare .+ \| met \|/)
    expect(text).to.match(/\| – \| ≤ 250 ns \| not measured \|/)
  })

  it('names the machine, the date and what each case showed', () => {
    const text = figuresOf(run)
    expect(text).to.include('2026-01-02').and.to.include('A CPU, 2 cores, 8 GiB')
    expect(text).to.include('| p50 ms | 3 | 1 |').and.to.include('A note.')
  })

  it('says of a trial that its figures are none', () => {
    const trial: Run = { ...run, head: { ...run.head, quick: true } }
    for (const figures of [figuresOf, headlineOf, scalingOf]) {
      expect(figures(trial)).to.include('quick trial')
      expect(figures(run)).not.to.include('quick trial')
    }
  })

  it('says that a case broke off, and why', () => {
    expect(figuresOf(run)).to.include('broke off: Redis is away.')
  })

  it('comes out the same of the lines that are kept', () => {
    const kept = parseJsonLines(toJsonLines(run))
    expect(figuresOf(kept)).to.equal(figuresOf(run))
    expect(headlineOf(kept)).to.equal(headlineOf(run))
  })

  it('goes between the marks of a page and leaves the rest as it is', () => {
    const page = 'a\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nb\n'
    const wanted = 'a\n<!-- figures: begin -->\n\nnew\n\n<!-- figures: end -->\nb\n'
    expect(withFigures(page, 'new')).to.equal(wanted)
    expect(withFigures(wanted, 'new')).to.equal(wanted)
    expect(() => withFigures('no marks', 'new')).to.throw('must have one')
  })
})

describe('docs/performance.json', () => {
  it('holds every case of one run of the bench, and tells of the aims of each', () => {
    expect(kept.lines.map((line) => line.case)).to.deep.equal(cases.map(({ name }) => name))
    for (const line of kept.lines) {
      if ('error' in line) continue
      for (const { aim } of line.rows) {
        if (aim !== undefined) expect(judgeAim(aim.name, aim.value)).to.deep.equal(aim)
      }
    }
  })

  it('tells of every aim that there is, but for those of a case that broke off', () => {
    const broken = kept.lines.flatMap((line) => ('error' in line ? [line.case] : []))
    const told = kept.lines.flatMap((line) =>
      'error' in line ? [] : line.rows.flatMap(({ aim }) => (aim === undefined ? [] : [aim.name])),
    )
    const wanted = Object.keys(aims).filter((name) => !broken.includes(name.split('.')[0] ?? ''))
    expect(told.toSorted()).to.deep.equal(wanted.toSorted())
  })

  for (const { path, figures } of figurePages) {
    it(`is what ${basename(path)} gives the figures of`, () => {
      const page = readFileSync(path, 'utf8')
      const wanted = withFigures(page, figures(kept))
      // KNELL_WRITE_DOCS=1 writes the page instead of comparing it.
      if (process.env['KNELL_WRITE_DOCS'] === '1') writeFileSync(path, wanted)
      else expect(page).to.equal(wanted)
    })
  }
})
