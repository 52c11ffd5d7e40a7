import { expect } from 'chai'
import type { Command } from 'commander'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { checkout } from '../../shared/cli/checkout.ts'
import { createProgram } from '../../shared/cli/program.ts'
import { runCommand } from '../../shared/cli/engines/run-command.ts'
import { metricsTable, type MetricName } from '../../shared/metrics/metrics-table.ts'
import { foreignMetrics } from '../support/foreign-metrics.ts'
import { groupedBy, metricsIn } from '../support/promql.ts'
import { needTool } from '../support/tools.ts'

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: { readonly severity?: string }
  readonly annotations?: { readonly summary?: string; readonly runbook_url?: string }
}

interface RuleTest {
  readonly name: string
  readonly alert_rule_test: readonly {
    readonly alertname: string
    readonly exp_alerts: readonly unknown[]
  }[]
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: {
    readonly h: number
    readonly w: number
    readonly x: number
    readonly y: number
  }
  readonly datasource?: { readonly uid: string }
  readonly targets?: readonly {
    readonly refId: string
    readonly expr: string
    readonly datasource: { readonly uid: string }
  }[]
}

interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: unknown }[]
  }
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] }
}

const RUNBOOKS = 'https://knell.example/docs/runbooks.md#'
/** What Prometheus adds to whatever it scrapes. */
const TARGET_LABELS = ['job', 'instance']

const folder = join(checkout, 'docs/deploy')
const read = (path: string): string => readFileSync(join(folder, path), 'utf8')
const rules = (
  parse(read('prometheus/knell-rules.yml')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules)
const alerts = rules.filter(({ alert }) => alert !== undefined)
const names = alerts.map(({ alert = '' }) => alert)
const records = rules.flatMap(({ record }) => (record === undefined ? [] : [record]))
const dashboard = JSON.parse(read('grafana/knell-dashboard.json')) as Dashboard

/** An expression of the dashboard as Grafana would send it. */
function filledIn(expression: string): string {
  return expression.replaceAll('$__rate_interval', '1m').replaceAll('$service', '.*')
}

const shown = [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.flatMap(({ expr }) => (expr === undefined ? [] : [expr])),
].map(filledIn)

/** The row of the table behind a name in an expression. */
function rowOf(metric: string): [MetricName, string] | undefined {
  const [, base = metric, suffix = ''] = /^(.+?)(_bucket|_sum|_count)?$/.exec(metric) ?? []
  const name = [metric, base].find((each) => each in metricsTable) as MetricName | undefined
  return name === undefined ? undefined : [name, name === metric ? '' : suffix]
}

function assertMetrics(expression: string): void {
  for (const { metric, labels } of metricsIn(expression)) {
    if (metric in foreignMetrics || records.includes(metric)) continue
    const [name, suffix] = rowOf(metric) ?? []
    expect(name, `${metric} in ${expression}`).to.be.a('string')
    const { type, labels: known = {} } = metricsTable[name as MetricName]
    expect(suffix !== '', `${metric} is a ${type}, in ${expression}`).to.equal(type === 'histogram')
    const bucket = suffix === '_bucket' ? ['le'] : []
    expect([...Object.keys(known), ...TARGET_LABELS, ...bucket], expression).to.include.members(
      labels,
    )
  }
}

describe('what Prometheus and Grafana are given', function () {
  this.timeout(120_000)
  let promtool: string
  let copy: string

  before(async function () {
    promtool = await needTool(this, 'promtool')
    copy = mkdtempSync(join(tmpdir(), 'knell-prometheus-'))
    cpSync(join(folder, 'prometheus'), copy, { recursive: true })
    writeFileSync(join(copy, 'knell-api-key'), 'a-secret-of-16-chars')
  })
  after(() => {
    if (copy !== undefined) rmSync(copy, { recursive: true })
  })

  const run = async (...words: string[]): Promise<void> => {
    const args = words.map((word) => (word.endsWith('.yml') ? join(copy, word) : word))
    const { code, output } = await runCommand(promtool, args, { timeoutMs: 60_000 })
    expect(code, output).to.equal(0)
  }

  describe('the rules', () => {
    it('are what promtool takes', () => run('check', 'rules', 'knell-rules.yml'))

    it('fire and do not fire as their tests say', () =>
      run('test', 'rules', 'knell-rules.test.yml'))

    it('are tested, each, with figures that make it fire and with figures that do not', () => {
      const { tests } = parse(read('prometheus/knell-rules.test.yml')) as { tests: RuleTest[] }
      const fire = new Set<string>()
      const keep = new Set<string>()
      for (const { name, alert_rule_test: cases } of tests) {
        for (const { alertname, exp_alerts: expected } of cases) {
          expect(name).to.match(new RegExp(`^${alertname} `))
          ;(expected.length > 0 ? fire : keep).add(alertname)
        }
      }
      expect([...fire]).to.have.members(names)
      expect([...keep]).to.have.members(names)
    })

    it('say how bad it is, what it is, and where to read on', () => {
      const ids = new Set<string>()
      for (const { alert = '', labels, annotations } of alerts) {
        expect(alert).to.match(/^Knell[A-Z]\w+$/)
        expect(labels?.severity, alert).to.be.oneOf(['page', 'ticket'])
        expect(annotations?.summary, alert).to.match(/\.$/)
        expect(annotations?.runbook_url).to.equal(RUNBOOKS + alert.toLowerCase())
        ids.add(alert)
      }
      expect(ids.size).to.equal(alerts.length)
    })

    it('have a section each in the runbooks, and the runbooks no other', () => {
      const page = readFileSync(join(checkout, 'docs/runbooks.md'), 'utf8')
      const sections = page.split(/^### /m).slice(1)
      expect(sections.map((text) => text.split('\n')[0])).to.have.members(names)
      for (const text of sections) {
        for (const part of ['Means', 'Felt', 'Look', 'Fix', 'Over']) {
          expect(text, String(text.split('\n')[0])).to.include(`**${part}.**`)
        }
      }
    })

    it('have runbooks that name only commands and options that there are', () => {
      const page = readFileSync(join(checkout, 'docs/runbooks.md'), 'utf8')
      const lines = [...page.matchAll(/(?:^|`)knell ([a-z][^`\n#]*)/gm)].map(
        ([, line = '']) => line,
      )
      expect(lines.length).to.be.greaterThan(20)
      for (const line of lines) {
        const words = line.trim().split(/\s+/)
        let command: Command = createProgram()
        for (const word of words) {
          const next = command.commands.find((each) => each.name() === word)
          if (next === undefined) break
          command = next
        }
        expect(command.parent, `knell ${line}`).to.not.equal(null)
        const options = [command, ...command.commands].flatMap((each) => each.options)
        const known = options.map(({ long }) => long)
        expect(known, `knell ${line}`).to.include.members(
          words.filter((word) => word.startsWith('--')),
        )
      }
    })

    it('name only metrics and labels that there are', () => {
      for (const { expr } of rules) assertMetrics(expr)
    })

    it('record nothing that nobody uses', () => {
      const used = [...alerts.map(({ expr }) => expr), ...shown].flatMap((expr) =>
        metricsIn(expr).map(({ metric }) => metric),
      )
      expect(used).to.include.members(records)
    })

    it('group by labels that what they ask for has', () => {
      for (const { expr } of rules) {
        const known = metricsIn(expr).flatMap(({ metric }) => {
          const [name] = rowOf(metric) ?? []
          return Object.keys((name && metricsTable[name].labels) ?? {})
        })
        expect([...known, ...TARGET_LABELS, 'le'], expr).to.include.members(groupedBy(expr))
      }
    })
  })

  it('is a configuration that promtool takes, with the rules and a key beside it', () =>
    run('check', 'config', 'prometheus.yml'))

  describe('the dashboard', () => {
    const { panels } = dashboard
    const charts = panels.filter(({ type }) => type !== 'row')

    it('has panels with ids of their own, each with a title and a word on what it shows', () => {
      expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length)
      expect(dashboard).to.include({ uid: 'knell', title: 'Knell' })
      for (const { title, description } of charts) {
        expect(title).to.match(/\w/)
        expect(description, title).to.match(/\.$/)
      }
    })

    it('lays them out on 24 columns, none over another', () => {
      const taken = new Map<string, string>()
      for (const { title, gridPos } of panels) {
        const { x, y, w, h } = gridPos
        expect(x + w, title).to.be.at.most(24)
        for (let column = x; column < x + w; column++) {
          for (let line = y; line < y + h; line++) {
            expect(taken.get(`${column} ${line}`), `${title} lies over`).to.equal(undefined)
            taken.set(`${column} ${line}`, title)
          }
        }
      }
    })

    it('asks the data source that is chosen, and names only metrics and labels that there are', () => {
      for (const { title, datasource, targets = [] } of charts) {
        expect(datasource?.uid, title).to.equal('${datasource}')
        expect(targets.length, title).to.be.greaterThan(0)
        expect(new Set(targets.map(({ refId }) => refId)).size, title).to.equal(targets.length)
        for (const target of targets) expect(target.datasource.uid).to.equal('${datasource}')
      }
      for (const expr of shown) assertMetrics(expr)
    })

    it('uses the variables that it has', () => {
      const text = JSON.stringify(dashboard)
      const used = [...text.matchAll(/\$\{?(?!__)([a-z]\w*)/g)].map(([, name]) => String(name))
      const variables = dashboard.templating.list.map(({ name }) => name)
      expect([...new Set(used)]).to.have.members(variables)
      const queried = /label_values\((\w+), (\w+)\)/.exec(text) ?? []
      const { labels = {} } = metricsTable[queried[1] as MetricName]
      expect(Object.keys(labels)).to.include(queried[2])
    })

    it('has expressions that promtool takes', async () => {
      const asRules = shown.map((expr, i) => ({ record: `shown:expression:${i}`, expr }))
      const file = { groups: [{ name: 'dashboard', rules: asRules }] }
      // JSON is YAML.
      writeFileSync(join(copy, 'dashboard-rules.yml'), JSON.stringify(file))
      await run('check', 'rules', 'dashboard-rules.yml')
    })

    it('is provisioned with a data source', () => {
      const sources = parse(read('grafana/provisioning/datasources/prometheus.yml')) as {
        datasources: { type: string; url: string; isDefault: boolean }[]
      }
      expect(sources.datasources).to.have.length(1)
      expect(sources.datasources[0]).to.include({ type: 'prometheus', isDefault: true })
      const provided = parse(read('grafana/provisioning/dashboards/knell.yml')) as {
        providers: { type: string; options: { path: string } }[]
      }
      expect(provided.providers[0]).to.deep.include({
        type: 'file',
        options: { path: '/var/lib/grafana/dashboards' },
      })
    })
  })
})
