import { expect } from 'chai'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { checkout } from '../../../shared/cli/checkout.ts'
import { runCommand } from '../../../shared/cli/engines/run-command.ts'
import { loadSettings, settingsTable } from '../../../shared/config/settings.ts'
import { openCertificates } from '../../support/certificates.ts'
import { needTool } from '../../support/tools.ts'

const FOLDER = join(checkout, 'docs/deploy/kubernetes')
/** The first version whose kustomize knows components and replicas. */
const LEAST_MINOR = 21

/** Where the types of each kind are. */
const modules: Readonly<Record<string, string>> = {
  Namespace: 'core/v1',
  ServiceAccount: 'core/v1',
  ConfigMap: 'core/v1',
  Service: 'core/v1',
  Deployment: 'apps/v1',
  PodDisruptionBudget: 'policy/v1',
  NetworkPolicy: 'networking/v1',
}

// What is read is checked by the compiler against Kubernetes's own types below.
// oxlint-disable-next-line typescript/no-explicit-any
type Manifest = any

/** What makes a process serve, though nothing of it is of use in a cluster. */
const SECRETS = { API_KEYS: 'test=correct-horse-battery:*' }

/** Types know every member that there is, so that a mistyped one is found, and one that is missing as well. */
async function compile(manifests: readonly Manifest[]): Promise<string> {
  const folder = mkdtempSync(join(checkout, 'dist', 'manifests-'))
  try {
    const lines = manifests.map((one: Manifest, index) => {
      const from = modules[String(one.kind)]
      expect(from, `the types of ${String(one.kind)}`).to.be.a('string')
      return [
        `import type { ${one.kind} as T${index} } from 'kubernetes-types/${from}.js'`,
        `export const m${index}: T${index} = ${JSON.stringify(one)}`,
      ].join('\n')
    })
    writeFileSync(join(folder, 'manifests.ts'), lines.join('\n'))
    const args = [
      join(checkout, 'node_modules/typescript/bin/tsc'),
      ...'--ignoreConfig --noEmit --strict --skipLibCheck --module nodenext'.split(' '),
      join(folder, 'manifests.ts'),
    ]
    return (await runCommand(process.execPath, args, { timeoutMs: 60_000 })).output
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('the files of the base for Kubernetes', function () {
  this.timeout(120_000)

  it('hold nothing that Kubernetes does not know, each by itself', async () => {
    const base = join(FOLDER, 'base')
    const files = readdirSync(base).filter((name) => name.endsWith('.yaml'))
    const manifests = files
      .filter((name) => name !== 'kustomization.yaml')
      .flatMap((name) => parseAllDocuments(readFileSync(join(base, name), 'utf8')))
      .map((document): Manifest => document.toJS())
    const kinds = manifests.map(({ kind }) => kind as string)
    expect(kinds).to.include.members(Object.keys(modules).filter((kind) => kind !== 'ConfigMap'))
    expect(await compile(manifests)).to.equal('')
    // A test that cannot fail proves nothing.
    const broken = structuredClone(manifests.find(({ kind }) => kind === 'Deployment'))
    broken.spec.template.spec.containers[0].readynessProbe = {}
    expect(await compile([broken])).to.include('readynessProbe')
  })
})

describe('the manifests for Kubernetes', function () {
  this.timeout(60_000)
  let kubectl: string
  before(async function () {
    kubectl = await needTool(this, 'kubectl')
    const { output } = await runCommand(kubectl, ['version', '--client', '-o', 'json'], {
      timeoutMs: 30_000,
    })
    const [, minor = '0'] = /"minor": "(\d+)/.exec(output) ?? []
    if (Number(minor) < LEAST_MINOR) this.skip()
  })

  async function build(path: string): Promise<Manifest[]> {
    const { code, output } = await runCommand(kubectl, ['kustomize', join(FOLDER, path)], {
      timeoutMs: 30_000,
    })
    expect(code, output).to.equal(0)
    return parseAllDocuments(output).map((document) => document.toJS())
  }

  const ofKind = (manifests: Manifest[], kind: string): Manifest[] =>
    manifests.filter((one) => one.kind === kind)

  it('hold nothing that Kubernetes does not know, and lack nothing that it needs', async () => {
    const manifests = [...(await build('base')), ...(await build('overlays/production'))]
    expect(await compile(manifests)).to.equal('')
    // A test that cannot fail proves nothing.
    const [deployment] = structuredClone(ofKind(manifests, 'Deployment'))
    deployment.spec.template.spec.containers[0].readynessProbe = {}
    expect(await compile([deployment])).to.include('readynessProbe')
  })

  for (const path of ['base', 'overlays/production']) {
    describe(path, () => {
      let manifests: Manifest[]
      let deployments: Manifest[]
      before(async () => {
        manifests = await build(path)
        deployments = ofKind(manifests, 'Deployment')
      })

      it('runs at least two of each process, and takes no old one away before a new one is ready', () => {
        expect(deployments.map(({ metadata }) => metadata.name)).to.deep.equal([
          'notifier',
          'poller',
        ])
        for (const { spec } of deployments) {
          expect(spec.replicas).to.be.at.least(2)
          expect(spec.strategy.rollingUpdate).to.deep.equal({ maxUnavailable: 0, maxSurge: 1 })
        }
      })

      it('runs them as nobody in particular, with nothing to write on and no way to more rights', () => {
        for (const { spec } of deployments) {
          const { securityContext, containers, automountServiceAccountToken } = spec.template.spec
          expect(automountServiceAccountToken).to.equal(false)
          expect(securityContext).to.deep.include({ runAsNonRoot: true, runAsUser: 1000 })
          expect(securityContext.seccompProfile.type).to.equal('RuntimeDefault')
          expect(containers[0].securityContext).to.deep.equal({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          })
        }
        const [namespace] = ofKind(manifests, 'Namespace')
        expect(namespace.metadata.labels).to.include({
          'pod-security.kubernetes.io/enforce': 'restricted',
        })
      })

      it('probes what there is, and leaves a process time to stop', () => {
        const isSecure = path !== 'base'
        for (const { metadata, spec } of deployments) {
          const { containers, terminationGracePeriodSeconds: grace } = spec.template.spec
          const [{ startupProbe, livenessProbe, readinessProbe, lifecycle, ports, command }] =
            containers
          expect(command[1]).to.equal(`dist/${metadata.name}/main.js`)
          for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
            expect(httpGet.port).to.equal(ports[0].name)
            expect(httpGet.scheme).to.equal(isSecure ? 'HTTPS' : undefined)
          }
          expect(livenessProbe.httpGet.path).to.equal('/livez')
          expect(readinessProbe.httpGet.path).to.equal('/readyz')
          const pauseSeconds = Number(lifecycle.preStop.exec.command[1])
          expect(grace).to.be.greaterThan(pauseSeconds + stopSeconds())
        }
      })

      it('has for each a service and a budget, which find its pods', () => {
        for (const { metadata, spec } of deployments) {
          const { labels } = spec.template.metadata
          const find = (kind: string): Manifest =>
            ofKind(manifests, kind).find((one) => one.metadata.name === metadata.name)
          const service = find('Service')
          expect(labels).to.include(service.spec.selector)
          expect(spec.template.spec.containers[0].env).to.deep.include({
            name: 'PORT',
            value: String(service.spec.ports[0].port),
          })
          const budget = find('PodDisruptionBudget')
          expect(labels).to.include(budget.spec.selector.matchLabels)
          expect(budget.spec.maxUnavailable).to.be.lessThan(spec.replicas)
        }
      })

      it('lets in callers and out to the engines, and nobody else', () => {
        const policies = ofKind(manifests, 'NetworkPolicy')
        const [all] = policies.filter(({ metadata }) => metadata.name === 'default-deny')
        expect(all.spec).to.deep.equal({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
        const portsOf = (way: 'ingress' | 'egress'): number[] =>
          policies.flatMap(({ spec }) =>
            (spec[way] ?? []).flatMap((rule: Manifest) => {
              expect(rule.from ?? rule.to, 'whom it is for').to.have.length(1)
              return rule.ports.map(({ port }: { port: number }) => port)
            }),
          )
        const served = deployments.map(
          ({ spec }) => spec.template.spec.containers[0].ports[0].containerPort,
        )
        expect(portsOf('ingress')).to.have.members(served)
        expect(portsOf('egress')).to.include.members([53, 5671, 5672, 6379, 26_379])
        const [{ spec }] = deployments
        for (const policy of policies.filter((one) => one !== all)) {
          const { matchLabels } = policy.spec.podSelector
          expect(spec.template.metadata.labels).to.include(matchLabels)
        }
      })

      it('sets variables that there are, and holds no secret', () => {
        const [{ data }] = ofKind(manifests, 'ConfigMap')
        const known = settingsTable.map(({ name }) => name)
        expect(known).to.include.members(Object.keys(data))
        expect(ofKind(manifests, 'Secret')).to.deep.equal([])
        const secret = settingsTable.filter((row) => row.secret).map(({ name }) => name)
        for (const name of secret) {
          // A path of a mounted secret is none.
          if (name in data) expect(data[name]).to.match(/^\/etc\/knell\//)
        }
      })
    })
  }

  it('sets what a process takes, with the secrets that the docs ask for', async function () {
    const certificates = openCertificates(await needTool(this, 'openssl'))
    try {
      const authority = await certificates.authority('ca')
      const [{ data }] = ofKind(await build('overlays/production'), 'ConfigMap')
      const place: Readonly<Record<string, string>> = {
        '/etc/knell/tls/ca.crt': authority.certFile,
        '/etc/knell/tls/tls.crt': authority.certFile,
        '/etc/knell/tls/tls.key': authority.keyFile,
      }
      const { API_KEYS_FILE: _, ...rest } = data as Record<string, string>
      const env = Object.fromEntries(
        Object.entries(rest).map(([name, value]) => [name, place[value] ?? value]),
      )
      const settings = loadSettings(
        {
          ...SECRETS,
          ...env,
          AMQP_URL: 'amqps://knell:secret@rabbit.example',
          REDIS_URL: 'rediss+sentinel://:secret@a.example,b.example/knell',
        },
        'notifier',
      )
      expect(settings).to.include({ host: '0.0.0.0', storeStrict: true })
      expect(settings.amqpTls?.hasCertificate).to.equal(true)
      expect(settings.redis.tlsClient?.hasCertificate).to.equal(true)
      expect(settings.serverTls?.key).to.be.a('string')
    } finally {
      certificates.remove()
    }
  })

  it('scrapes the port that the services have', async () => {
    const text = readFileSync(join(FOLDER, 'components/monitoring/service-monitor.yaml'), 'utf8')
    const [monitor] = parseAllDocuments(text).map((document) => document.toJS())
    for (const { metadata, spec } of ofKind(await build('base'), 'Service')) {
      expect(metadata.labels).to.include(monitor.spec.selector.matchLabels)
      expect(spec.ports[0].name).to.equal(monitor.spec.endpoints[0].port)
    }
  })
})

/** How long a process gives itself to stop. */
function stopSeconds(): number {
  const source = readFileSync(join(checkout, 'shared/process/run-process.ts'), 'utf8')
  return Number(/STOP_MS = ([\d_]+)/.exec(source)?.[1]?.replaceAll('_', '')) / 1000
}
