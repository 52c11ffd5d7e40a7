import { expect } from 'chai'
import https from 'node:https'
import { spawnKnell, type KnellKind, type KnellProcess } from '../../shared/cli/processes.ts'
import { connect, type Subscriber, type TlsInput } from '../../shared/subscriber/index.ts'
import { openCertificates, type Certificate, type Certificates } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { freshNamespace } from '../support/store.ts'
import { dies, oldToken } from '../support/system.ts'
import { startTlsRabbit, startTlsRedis, type TlsEngine } from '../support/tls-engines.ts'
import { needTool } from '../support/tools.ts'

type Env = Readonly<Record<string, string>>

const KEY = 'a-key-for-the-tests-of-tls'

describe('TLS', function () {
  this.timeout(90_000)
  let certificates: Certificates
  let ca: Certificate
  let otherCa: Certificate
  let own: Certificate
  let alien: Certificate
  let api: Certificate
  let rabbit: TlsEngine
  let redis: TlsEngine
  let expiredRedis: TlsEngine
  let env: Env
  const running: KnellProcess[] = []
  const subscribers: Subscriber[] = []

  before(async function () {
    certificates = openCertificates(await needTool(this, 'openssl'))
    this.timeout(120_000)
    const authority = await certificates.authority('ca')
    const other = await certificates.authority('other-ca')
    ca = authority
    otherCa = other
    // For the name only, so that the address is a wrong one.
    const server = await authority.issue('engine', { names: ['DNS:localhost'] })
    const expired = await authority.issue('expired', { names: ['DNS:localhost'], days: -1 })
    api = await authority.issue('api', { names: ['DNS:localhost', 'IP:127.0.0.1'] })
    own = await authority.issue('own')
    alien = await other.issue('alien')
    const started = await Promise.all([
      startTlsRabbit(server, ca),
      startTlsRedis(server, ca),
      startTlsRedis(expired, ca),
    ])
    ;[rabbit, redis, expiredRedis] = started
    env = {
      AMQP_URL: `amqps://guest:guest@localhost:${rabbit.tlsPort}`,
      AMQP_CA: ca.certFile,
      AMQP_CERT: own.certFile,
      // As PEM, and as a path.
      AMQP_KEY: own.key,
      REDIS_URL: `rediss://localhost:${redis.tlsPort}`,
      REDIS_CA: ca.cert.replaceAll('\n', '\\n'),
      REDIS_CERT: own.certFile,
      REDIS_KEY: own.keyFile,
      TLS_CERT: api.certFile,
      TLS_KEY: api.keyFile,
      TLS_CLIENT_CA: ca.certFile,
      API_KEYS: `test=${KEY}:*`,
      BEAT: '500ms',
      SWEEP_CRON: '* * * * * *',
      LOG_LEVEL: 'debug',
    }
  })

  afterEach(async () => {
    await Promise.all(subscribers.splice(0).map((subscriber) => subscriber.close()))
    await Promise.all(running.splice(0).map((one) => one.stop()))
  })

  after(async () => {
    await Promise.all([rabbit, redis, expiredRedis].map((one) => one?.engine.stop()))
    certificates?.remove()
  })

  async function start(kind: KnellKind, more: Env = {}, until: '/readyz' | '/livez' = '/readyz') {
    const settings = { ...env, ...more }
    const one = await spawnKnell(kind, settings, { until, tls: { ca: ca.cert } })
    running.push(one)
    return one
  }

  async function subscribe(
    process: KnellProcess,
    namespace: string,
    tls: { amqp?: TlsInput; pull?: TlsInput },
    { amqp = String(env['AMQP_URL']), pull = process.url, waitReady = true } = {},
  ): Promise<{ subscriber: Subscriber; problems: string[] }> {
    const problems: string[] = []
    const subscriber = await connect({
      service: 'orders',
      amqp,
      pull: [pull],
      apiKey: KEY,
      namespace,
      tls,
      waitReady: false,
    })
    subscribers.push(subscriber)
    subscriber.on('problem', ({ code, message }) => problems.push(`${code}: ${message}`))
    if (waitReady) await subscriber.ready()
    return { subscriber, problems }
  }

  interface Answer {
    readonly status: number
    readonly body: Record<string, unknown>
  }

  function call(
    { url }: { url: string },
    path: string,
    { body, ...tls }: { ca?: string; cert?: string; key?: string; body?: unknown } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
      const options = { ca: ca.cert, ...tls, agent: false, method: body ? 'POST' : 'GET', headers }
      const sent = https.request(url + path, options, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: JSON.parse(text) as Record<string, unknown>,
          }),
        )
      })
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  it('goes all the way from a caller through RabbitMQ and Redis to a service', async () => {
    const NAMESPACE = freshNamespace()
    const notifier = await start('notifier', { NAMESPACE })
    const poller = await start('poller', { NAMESPACE })
    const identity = { ca: ca.cert, cert: own.cert, key: own.key }
    const pushed = await subscribe(notifier, NAMESPACE, { amqp: identity, pull: identity })
    const handled: string[] = []
    await pushed.subscriber.handle(['revoked'], ({ match }) => {
      handled.push(JSON.stringify(match))
    })
    const { status } = await call(notifier, '/v1/revocations', {
      ...own,
      body: { match: { sub: 'alice' } },
    })
    expect(status).to.equal(201)
    await dies(pushed.subscriber, { sub: 'alice' })
    await eventually(() => handled.includes('{"sub":"alice"}'))
    // One that only pulls, from the poller.
    const pulled = await subscribe(poller, NAMESPACE, { pull: identity, amqp: {} })
    expect(pulled.subscriber.check({ ...oldToken(), sub: 'alice' }).code).to.equal('revoked')
    expect(pushed.problems).to.deep.equal([])
    for (const one of [notifier, poller]) {
      const ready = await call(one, '/readyz')
      expect(ready.body).to.deep.include({ status: 'ok' })
    }
  })

  it('logs', async () => {
    for (const [what, more] of Object.entries({
      'wrong ca': { AMQP_CA: otherCa.certFile, REDIS_CA: otherCa.certFile },
      'no ca': { AMQP_CA: '', REDIS_CA: '' },
      'wrong name': {
        AMQP_URL: `amqps://guest:guest@127.0.0.1:${rabbit.tlsPort}`,
        REDIS_URL: `rediss://127.0.0.1:${redis.tlsPort}`,
      },
      'no client': { AMQP_CERT: '', AMQP_KEY: '', REDIS_CERT: '', REDIS_KEY: '' },
      alien: {
        AMQP_CERT: alien.certFile,
        AMQP_KEY: alien.keyFile,
        REDIS_CERT: alien.certFile,
        REDIS_KEY: alien.keyFile,
      },
      expired: { REDIS_URL: `rediss://localhost:${expiredRedis.tlsPort}` },
      plain: {
        REDIS_URL: `rediss://localhost:${redis.engine.port}`,
        AMQP_URL: `amqps://guest:guest@localhost:${rabbit.engine.port}`,
      },
    })) {
      const one = await start('notifier', more as Env, '/livez')
      await new Promise((r) => setTimeout(r, 2500))
      console.log(what, await call(one, '/readyz'))
      console.log(one.output.join('\n'))
    }
  })
})
