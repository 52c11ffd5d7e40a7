import { expect } from 'chai'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { claimsHeaders } from '../../shared/agent/claims-headers.ts'
import { agentSettingsTable } from '../../shared/agent/settings-table.ts'
import { checkout } from '../../shared/cli/checkout.ts'
import { policiesOf } from '../../shared/cli/topology/policies.ts'
import { createKeyRing, parseApiKeys, scopes } from '../../shared/config/api-keys.ts'
import { settingsTable } from '../../shared/config/settings-table.ts'
import type { TokenErrorCode } from '../../shared/domain/decision.ts'
import { parseEntry } from '../../shared/domain/entry.ts'
import { errorCodes, type ErrorCode } from '../../shared/domain/errors.ts'
import { namesOf } from '../../shared/domain/names.ts'
import { permissionsOf } from '../../shared/broker/permissions.ts'
import { exchangesOf } from '../../shared/broker/topology.ts'
import { metricsTable, type MetricName } from '../../shared/metrics/metrics-table.ts'
import { LIMITS } from '../../shared/http/limits.ts'
import { readPinnedKeys, readSigningKeys } from '../../shared/signing/event-keys.ts'
import { EventSigner } from '../../shared/signing/event-signer.ts'
import { EventVerifier } from '../../shared/signing/event-verifier.ts'
import { aclRulesOf } from '../../shared/store/acl.ts'
import { blocksIn, docPages as pages } from '../support/doc-blocks.ts'
import { reasons } from '../../shared/domain/reasons.ts'
import { ownDecisionCodes } from '../support/decision-codes.ts'

const read = (path: string): string => readFileSync(join(checkout, path), 'utf8')
const httpApi = read('docs/http-api.md')
const wire = read('docs/wire.md')

/** What stands under a heading, up to the next one of the same or a higher level. */
function section(text: string, heading: string): string {
  const level = heading.indexOf(' ')
  const lines = text.split('\n')
  const from = lines.indexOf(heading)
  expect(from, `the heading "${heading}"`).to.be.at.least(0)
  let isCode = false
  const rest = lines.slice(from + 1)
  const to = rest.findIndex((line) => {
    if (line.startsWith('```')) isCode = !isCode
    const marks = /^#+(?= )/.exec(line)?.[0].length
    return !isCode && marks !== undefined && marks <= level
  })
  return rest.slice(0, to === -1 ? undefined : to).join('\n')
}

/** The cells of the first table in a text, without its head. */
function tableIn(text: string): string[][] {
  const lines = text.split('\n')
  const from = lines.findIndex((line) => /^\|[ :|-]+\|$/.test(line))
  const rows = lines.slice(from + 1)
  const end = rows.findIndex((line) => !line.startsWith('|'))
  return rows.slice(0, end === -1 ? undefined : end).map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** The texts in code font of a cell. */
function codesIn(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map((found) => String(found[1]))
}

function firstColumn(rows: readonly string[][]): string[] {
  return rows.map(([first]) => {
    const [code, ...others] = codesIn(first)
    expect(others, `one name in "${first}"`).to.deep.equal([])
    return String(code)
  })
}

function expectSame(found: readonly string[], wanted: readonly string[]): void {
  expect([...found].sort()).to.deep.equal([...wanted].sort())
}

/** The routes that the sources add, as `GET /v1/feed`. */
function routesInCode(): string[] {
  return ['notifier/routes', 'notifier/issuer', 'shared/http/routes'].flatMap((folder) =>
    readdirSync(join(checkout, folder)).flatMap((file) =>
      [...read(join(folder, file)).matchAll(/app\.(get|post|put|delete)\('([^']+)'/g)].map(
        ([, method = '', path = '']) => `${method.toUpperCase()} ${path}`,
      ),
    ),
  )
}

function anchorOf(heading: string): string {
  const words = heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '')
  return words.replaceAll(' ', '-')
}

describe('the reference pages', () => {
  const settings = tableIn(read('docs/settings.md'))

  it('lists every setting, and no other', () => {
    expectSame(firstColumn(settings), [...new Set(settingsTable.map(({ name }) => name))])
  })

  for (const name of new Set(settingsTable.map((row) => row.name))) {
    it(`gives ${name} its defaults, and no process that does not act on it`, () => {
      const rows = settingsTable.filter((row) => row.name === name)
      const [, process, defaults] = settings.find(([first]) => first === `\`${name}\``) ?? []
      expectSame(
        codesIn(defaults),
        rows.flatMap((row) => row.default ?? []),
      )
      if (codesIn(defaults).length === 0) expect(defaults).to.equal('none')
      const named = process === 'both' ? ['notifier', 'poller'] : [process]
      expect(rows.flatMap(({ kinds }) => kinds)).to.include.members(named)
    })
  }

  it('lists every error code with its status, and no other', () => {
    const rows = tableIn(read('docs/errors.md'))
    expectSame(firstColumn(rows), Object.keys(errorCodes))
    for (const [index, code] of firstColumn(rows).entries()) {
      const [, status, next] = rows[index] ?? []
      expect(status, code).to.equal(String(errorCodes[code as ErrorCode].status))
      expect(next, `what to do after ${code}`).to.match(/\w/)
    }
  })

  it('lists every decision code, and no other', () => {
    const rows = tableIn(section(httpApi, '## Decisions'))
    // The one code that a check and the verification of a token share.
    const shared: TokenErrorCode = 'token_too_long_lived'
    expectSame(firstColumn(rows), [...Object.keys(ownDecisionCodes), shared])
  })

  it('lists every scope, and no other', () => {
    expectSame(firstColumn(tableIn(section(httpApi, '## Scopes'))), scopes)
  })

  it('lists every call of the HTTP API, and no other', () => {
    expectSame(firstColumn(tableIn(httpApi)), routesInCode())
  })

  it('lists every metric with its type, its labels and who has it, and no other', () => {
    const page = read('docs/metrics.md')
    const rows = ['## The processes', '## A service'].flatMap((heading) =>
      tableIn(section(page, heading)),
    )
    expectSame(firstColumn(rows), Object.keys(metricsTable))
    for (const [index, name] of firstColumn(rows).entries()) {
      const [, type, labels, where, meaning] = rows[index] ?? []
      const row = metricsTable[name as MetricName]
      expect(type, name).to.equal(row.type)
      expect(codesIn(labels), name).to.deep.equal(Object.keys(row.labels ?? {}))
      expect(where, name).to.equal(row.where.join(', ').replace('notifier, poller', 'both'))
      expect(meaning, `what ${name} means`).to.match(/\w/)
    }
  })

  it('lists every reason, and no other', () => {
    const [, text] = /\*\*`reason`\*\* is one of([^.]+)\./.exec(httpApi) ?? []
    expectSame(codesIn(text), reasons)
  })

  it('gives the limits their numbers', () => {
    const text = section(httpApi, '## Limits')
    const { failures, failuresWindowMs, callsPerKey, pollsPerKey, snapshots, streamsPerKey } =
      LIMITS
    const number = (value: number): string => value.toLocaleString('en')
    expect(text)
      .to.include(`${failures} failures in ${failuresWindowMs / 1000} s`)
      .and.include(`${number(callsPerKey)} calls at once`)
      .and.include(`${number(pollsPerKey)} calls at once, long polls included`)
      .and.match(new RegExp(`streams of the dashboard +\\| ${streamsPerKey} at once `))
      .and.include(
        `${snapshots.each} at once of ${snapshots.places} in all; ${number(snapshots.waiting)} wait`,
      )
  })

  it('names every exchange', () => {
    for (const exchange of exchangesOf(namesOf())) expect(wire).to.include(`\`${exchange}\``)
  })

  it('shows an entry that a view can read', () => {
    const text = /```json\n(\{\s+"v": 1,[^]+?)\n```/.exec(wire)
    const entry: unknown = JSON.parse(text?.[1] ?? '')
    expect(parseEntry(entry)).to.include({ log: 'revocations', kind: 'revoked', seq: 18_231 })
  })
})

describe('docs/agent.md', () => {
  const text = read('docs/agent.md')

  it('lists every setting of the agent with its option and its default, and no other', () => {
    const rows = tableIn(section(text, '## Settings')).map(([name, flag, fallback]) => [
      ...codesIn(name),
      codesIn(flag)[0],
      codesIn(fallback)[0],
    ])
    expect(rows).to.deep.equal(
      agentSettingsTable.map(({ name, flag, default: fallback }) => [name, flag, fallback]),
    )
  })

  it('shows a command line that there is', () => {
    const [, line = ''] = /```sh\n(AMQP_URL=[^]+?)```/.exec(text) ?? []
    const flags = line.match(/--[a-z-]+/g) ?? []
    const variables = line.match(/[A-Z_]+(?==)/g) ?? []
    expect(flags).to.not.deep.equal([])
    expect(agentSettingsTable.map(({ flag }) => flag)).to.include.members(flags)
    expect(agentSettingsTable.map(({ name }) => name)).to.include.members(variables)
  })

  it('names every header that says something of a token', () => {
    const rows = tableIn(section(text, '### Claims in headers'))
    expectSame(
      rows.flatMap(([names]) => codesIn(names)),
      claimsHeaders,
    )
  })
})

describe('docs/security.md', () => {
  const text = read('docs/security.md')
  const names = namesOf()
  const tenants = ['shop', 'intranet']
  const roles = {
    'knell.deploy': permissionsOf(names, { role: 'deploy' }),
    knell: permissionsOf(names, { role: 'knell' }),
    'knell.service.orders': permissionsOf(names, { role: 'service', service: 'orders', tenants }),
  }
  const rowsOf = (heading: string): (string | undefined)[][] =>
    tableIn(section(text, heading)).map((row) =>
      row.map((cell) => codesIn(cell)[0]?.replaceAll('\\|', '|')),
    )

  it('gives every role exactly its rights', () => {
    expect(rowsOf('## RabbitMQ')).to.deep.equal(
      Object.entries(roles).map(([user, { permission }]) => [
        user,
        permission.configure,
        permission.write,
        permission.read,
      ]),
    )
  })

  it('gives every role exactly its routing keys', () => {
    expect(rowsOf('### Topic permissions')).to.deep.equal(
      Object.entries(roles).flatMap(([user, { topics }]) =>
        topics.map(({ exchange, write, read }) => [user, exchange, write, read]),
      ),
    )
  })

  it('gives the policies', () => {
    expect(rowsOf('### Policies')).to.deep.equal(
      policiesOf(names).map(({ name, pattern, definition }) => [
        name,
        pattern,
        JSON.stringify(definition),
      ]),
    )
  })

  it('gives the rules of the Redis user', () => {
    expect(section(text, '## Redis')).to.include(`\n${aclRulesOf('knell').join(' ')}\n`)
  })

  it('makes keys that work', () => {
    const folder = mkdtempSync(join(tmpdir(), 'knell-keys-'))
    const runExample = (name: string): string => {
      const mark = `<!-- example: ${name} -->`
      const [, lines = ''] = new RegExp(`${mark}\\s+\`\`\`sh\\n([^]+?)\`\`\``).exec(text) ?? []
      expect(lines).to.include('node -e')
      return execFileSync('sh', ['-c', lines], { cwd: folder, encoding: 'utf8' })
    }
    const [secret = '', digest = ''] = runExample('api-key').trim().split(' ')
    const ring = createKeyRing(parseApiKeys(`orders=${digest}:feed:read`))
    expect(ring.authenticate(secret)?.name).to.equal('orders')
    runExample('event-keys')
    const file = join(folder, '2026-01.private.json')
    expect(statSync(file).mode & 0o077).to.equal(0)
    const body = Buffer.from('{}')
    const parse = (path: string): unknown => JSON.parse(readFileSync(join(folder, path), 'utf8'))
    const signer = new EventSigner(readSigningKeys(parse('2026-01.private.json')), 'knell')
    const verifier = new EventVerifier(readPinnedKeys(parse('2026-01.public.json')), 'knell')
    expect(verifier.verify('beat', body, signer.sign('beat', '{}'))).to.equal('good')
    rmSync(folder, { recursive: true })
  })
})

describe('the docs', () => {
  for (const page of pages) {
    it(`have no broken link in ${page}`, () => {
      const text = read(page)
      for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/i.test(link)) continue
        const [path = '', anchor] = link.split('#')
        const target = path === '' ? page : join(dirname(page), path)
        expect(existsSync(join(checkout, target)), `${page} → ${link}`).to.equal(true)
        if (anchor === undefined) continue
        const anchors = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
          anchorOf(heading),
        )
        expect(anchors, `${page} → ${link}`).to.include(anchor)
      }
    })
  }

  for (const page of pages) {
    it(`say how each command and program of ${page} is tried`, () => {
      for (const { line, mark, language } of blocksIn(page)) {
        const place = `${page}:${line} (${language})`
        expect(mark, `the comment above ${place}`).to.match(
          /^(run|example: [\w.-]+|tested by (\S+)|not run: \w.+)$/,
        )
        const test = /^tested by (\S+)$/.exec(mark ?? '')?.[1]
        if (test !== undefined) expect(existsSync(join(checkout, test)), place).to.equal(true)
      }
    })
  }

  it('name only modules that there are', () => {
    const codes = codesIn(read('docs/protocol.md')).filter((code) =>
      /^(?:notifier|poller|shared)\/[a-z/-]+$/.test(code),
    )
    expect(codes).to.not.deep.equal([])
    for (const code of codes) {
      const isThere = [code, `${code}.ts`].some((path) => existsSync(join(checkout, path)))
      expect(isThere, code).to.equal(true)
    }
  })
})

describe('the container files', () => {
  const compose = read('docker-compose.yml')
  const services = section(
    `## ${compose.replace('\nservices:\n', '\n## services\n')}`,
    '## services',
  )

  function service(name: string): string {
    const [, text] = new RegExp(`^  ${name}:\\n((?:    .*\\n|\\s*\\n)+)`, 'm').exec(services) ?? []
    expect(text, `the service ${name}`).to.be.a('string')
    return String(text)
  }

  it('hold the engines, with a health check and ports on loopback that can be moved', () => {
    expect(service('rabbitmq'))
      .to.include('image: rabbitmq:4-management')
      .and.include('127.0.0.1:${RABBITMQ_PORT:-5672}:5672')
      .and.include('healthcheck:')
    expect(service('redis'))
      .to.include('image: redis:7-alpine')
      .and.include('127.0.0.1:${REDIS_PORT:-6379}:6379')
      .and.include('healthcheck:')
    const text = service('redis').replaceAll(/\n\s+- '?([^'\n]+)'?/g, ' $1')
    expect(text)
      .to.include('--appendonly yes')
      .and.include('--maxmemory-policy noeviction')
      .and.include('--hash-max-listpack-entries 500')
      .and.include('--hash-max-listpack-value 128')
  })

  it('hold both processes, built from this repository', () => {
    expect(compose).to.include('build: .')
    expect(service('notifier')).to.include('127.0.0.1:${NOTIFIER_PORT:-7070}:7070')
    expect(service('poller'))
      .to.include('127.0.0.1:${POLLER_PORT:-7071}:7071')
      .and.include('dist/poller/main.js')
    expect(read('Dockerfile')).to.include('dist/notifier/main.js').and.include('USER 1000:1000')
  })

  it('ask for no variable, so that the engines start without API keys', () => {
    expect(compose).to.include('API_KEYS: ${API_KEYS:-}')
    expect(compose).to.not.match(/\$\{\w+:?\?/)
    for (const [, name] of compose.matchAll(/\$\{(\w+)/g)) {
      const isSetting = settingsTable.some((row) => row.name === name)
      const isOurs = name === 'METRICS_KEY' || name === 'ERLANG_COOKIE' || name?.endsWith('_PORT')
      expect(isSetting || isOurs, name).to.equal(true)
    }
  })
})
