import { expect } from 'chai'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { checkout } from '../../../shared/cli/checkout.ts'
import { runCommand } from '../../../shared/cli/engines/run-command.ts'
import { loadSettings, settingsTable, type ProcessKind } from '../../../shared/config/settings.ts'
import { needTool } from '../../support/tools.ts'

interface Service {
  readonly profiles?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | number>>
  readonly ports?: readonly (string | { readonly host_ip?: string })[]
  readonly volumes?: readonly (string | { readonly type: string; readonly source: string })[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: object
  readonly build?: object
  readonly read_only?: boolean
  readonly stop_grace_period?: string
}

type Services = Readonly<Record<string, Service>>

const PROFILES = ['observability', 'cluster']
/** They are of no use to anybody who waits. */
const UNWATCHED = ['prometheus', 'grafana', 'cluster']

describe('docker-compose.yml', function () {
  this.timeout(60_000)
  let run: (args: readonly string[]) => Promise<string>
  let services: Services
  before(async function () {
    const tool = await needTool(this, 'docker-compose')
    run = async (args) => {
      // Without any variable, and without what a .env of this machine may set.
      const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] }
      const { code, output } = await runCommand(
        tool,
        ['--project-directory', checkout, '-f', join(checkout, 'docker-compose.yml'), ...args],
        { env, timeoutMs: 60_000 },
      )
      expect(code, output).to.equal(0)
      return output
    }
    const all = PROFILES.flatMap((profile) => ['--profile', profile])
    services = (parse(await run([...all, 'config'])) as { services: Services }).services
  })

  it('is taken by its own tool without any variable, in every profile', async () => {
    for (const profile of PROFILES) await run(['--profile', profile, 'config', '--quiet'])
    await run(['config', '--quiet'])
    const inProfile = (wanted: string | undefined): string[] =>
      Object.keys(services).filter((name) => services[name]?.profiles?.[0] === wanted)
    expect(inProfile(undefined).sort()).to.deep.equal(['notifier', 'poller', 'rabbitmq', 'redis'])
    expect(inProfile('observability').sort()).to.deep.equal(['grafana', 'prometheus'])
    expect(inProfile('cluster')).to.have.length(3 + 3 + 3 + 2 + 2 + 1)
  })

  it('starts all of the cluster, and nothing else, with the service of that name', () => {
    const wanted = new Set<string>()
    const follow = (name: string): void => {
      if (wanted.has(name)) return
      wanted.add(name)
      for (const next of Object.keys(services[name]?.depends_on ?? {})) follow(next)
    }
    follow('cluster')
    const inProfile = Object.keys(services).filter((name) =>
      services[name]?.profiles?.includes('cluster'),
    )
    expect([...wanted].sort()).to.deep.equal(inProfile.sort())
    const three = (name: string): string[] => [1, 2, 3].map((n) => `${name}-${n}`)
    expect(inProfile).to.include.members([
      ...three('rabbitmq'),
      ...three('redis'),
      ...three('sentinel'),
    ])
  })

  it('waits for what is healthy', () => {
    for (const [name, { depends_on: needs = {} }] of Object.entries(services)) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        if (UNWATCHED.includes(needed)) continue
        expect(condition, `${name} needs ${needed}`).to.equal('service_healthy')
        const { healthcheck, build } = services[needed] ?? {}
        // Our own image has a check in it.
        expect(healthcheck ?? build, needed).to.be.an('object')
      }
    }
  })

  it('mounts only what there is, and listens on loopback only', () => {
    for (const [name, { volumes = [], ports = [] }] of Object.entries(services)) {
      for (const volume of volumes) {
        const source = typeof volume === 'string' ? String(volume.split(':')[0]) : volume.source
        if (source.startsWith('/')) expect(existsSync(source), `${name}: ${source}`).to.equal(true)
      }
      for (const port of ports) {
        const address = typeof port === 'string' ? port : port.host_ip
        expect(address, name).to.match(/^127\.0\.0\.1/)
      }
    }
  })

  it('gives the processes settings that they take, and time to stop', () => {
    const ours = Object.entries(services).filter(([, { build }]) => build !== undefined)
    expect(ours.map(([name]) => name).sort()).to.deep.equal(
      ['notifier', 'notifier-1', 'notifier-2', 'poller', 'poller-1', 'poller-2'].sort(),
    )
    for (const [name, service] of ours) {
      const kind = name.split('-')[0] as ProcessKind
      const entries = Object.entries(service.environment ?? {})
      const env = Object.fromEntries(entries.map(([key, value]) => [key, String(value)]))
      expect(settingsTable.map((row) => row.name)).to.include.members(Object.keys(env))
      const settings = loadSettings({ ...env, API_KEYS: 'dev=correct-horse-battery:*' }, kind)
      expect(settings.redis.kind).to.equal(name.includes('-') ? 'sentinel' : 'single')
      expect(settings.port).to.equal(kind === 'notifier' ? 7070 : 7071)
      if (kind === 'poller') expect(service.command).to.include('dist/poller/main.js')
      expect(service.read_only).to.equal(true)
      expect(service.stop_grace_period).to.equal('15s')
    }
  })

  it('runs scripts that a shell can read', async () => {
    for (const name of ['redis-node', 'sentinel', 'rabbitmq-node']) {
      const path = join(checkout, 'docs/deploy/compose', `${name}.sh`)
      const { code, output } = await runCommand('sh', ['-n', path], { timeoutMs: 10_000 })
      expect(code, output).to.equal(0)
      expect(readFileSync(path, 'utf8')).to.match(/^#!\/bin\/sh\n/)
    }
  })
})
