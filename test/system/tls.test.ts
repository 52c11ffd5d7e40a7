import { expect } from 'chai'
import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { connect as netConnect, type AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { spawnKnell, type KnellKind, type KnellProcess } from '../../shared/cli/processes.ts'
import type { HealthReport } from '../../shared/http/health.ts'
import { connect, type Subscriber, type TlsOptions } from '../../shared/subscriber/index.ts'
import { openCertificates, type Certificate, type Certificates } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { startTlsSentinel } from '../support/tls-sentinel.ts'
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
  let engine: Certificate
  let expired: Certificate
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
    engine = await authority.issue('engine', { names: ['DNS:localhost'] })
    expired = await authority.issue('expired', { names: ['DNS:localhost'], days: -1 })
    api = await authority.issue('api', { names: ['DNS:localhost', 'IP:127.0.0.1'] })
    own = await authority.issue('own')
    alien = await other.issue('alien')
    const started = await Promise.all([
      startTlsRabbit(engine, ca),
      startTlsRedis(engine, ca),
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
    tls: TlsOptions,
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

  describe('is never given up for something weaker', () => {
    /** An AMQP port with an expired certificate; RabbitMQ itself has but one. */
    let front: Server
    let expiredRabbit = ''
    before(async () => {
      const { cert, key } = expired
      front = createServer({ cert, key, ca: ca.cert }, (socket) => {
        const upstream = netConnect(rabbit.engine.port, '127.0.0.1')
        socket.pipe(upstream).pipe(socket)
        for (const one of [socket, upstream]) one.on('error', () => socket.destroy())
      })
      front.on('tlsClientError', () => {})
      front.listen(0, '127.0.0.1')
      await once(front, 'listening')
      const { port } = front.address() as AddressInfo
      expiredRabbit = `amqps://guest:guest@localhost:${port}`
    })
    after(() => new Promise((resolve) => front.close(resolve)))

    const cases: Readonly<Record<string, { change: () => Env; says: RegExp; store?: RegExp }>> = {
      'a server of another authority': {
        change: () => ({ AMQP_CA: otherCa.certFile, REDIS_CA: otherCa.certFile }),
        says: /shows a certificate that no trusted authority has signed \(SELF_SIGNED_CERT_IN_CHAIN\)/,
      },
      'a server of another authority, though Node is told to believe everything': {
        change: () => ({ AMQP_CA: '', REDIS_CA: '', NODE_TLS_REJECT_UNAUTHORIZED: '0' }),
        says: /shows a certificate that no trusted authority has signed \(SELF_SIGNED_CERT_IN_CHAIN\)/,
      },
      'a server of another name': {
        change: () => ({
          AMQP_URL: `amqps://guest:guest@127.0.0.1:${rabbit.tlsPort}`,
          REDIS_URL: `rediss://127.0.0.1:${redis.tlsPort}`,
        }),
        says: /shows a certificate for other names: IP: 127\.0\.0\.1 .*\(ERR_TLS_CERT_ALTNAME_INVALID\)/,
      },
      'a server whose certificate has expired': {
        change: () => ({
          AMQP_URL: expiredRabbit,
          REDIS_URL: `rediss://localhost:${expiredRedis.tlsPort}`,
        }),
        says: /shows a certificate that has expired \(CERT_HAS_EXPIRED\)/,
      },
      'a server that wants a client certificate where there is none': {
        change: () => ({ AMQP_CERT: '', AMQP_KEY: '', REDIS_CERT: '', REDIS_KEY: '' }),
        says: /wants a client certificate that it trusts \(ERR_SSL_\w*ALERT_CERTIFICATE_REQUIRED\)/,
        // Redis hangs up at once, so that its reason does not always arrive.
        store: /wants? a client certificate/,
      },
      'a server that does not trust the client certificate': {
        change: () => ({
          AMQP_CERT: alien.certFile,
          AMQP_KEY: alien.keyFile,
          REDIS_CERT: alien.certFile,
          REDIS_KEY: alien.keyFile,
        }),
        says: /refuses our client certificate \(ERR_SSL_\w*ALERT_UNKNOWN_CA\)/,
        store: /refuses our client certificate|does not answer/,
      },
    }
    for (const [what, { change, says, store = says }] of Object.entries(cases)) {
      it(`towards ${what}: the log and /readyz say why`, async () => {
        const one = await start('notifier', change(), '/livez')
        await eventually(async () => {
          const { status, body } = await call(one, '/readyz')
          const report = body as unknown as HealthReport
          expect(status).to.equal(503)
          expect(report.store.problem).to.match(store)
          expect(report.broker.problem).to.match(says)
          return true
        })
        const warned = one.output.filter((line) => line.includes('"code":"tls_failed"'))
        expect(warned.some((line) => /RabbitMQ/.test(line) && says.test(line))).to.equal(true)
        const refused = await call(one, '/v1/revocations', {
          ...own,
          body: { match: { sub: 'alice' } },
        })
        expect(refused.body).to.include({ status: 503, code: 'store_unavailable' })
      })
    }

    it('towards a server without TLS', async () => {
      const one = await start(
        'notifier',
        { AMQP_URL: `amqps://guest:guest@localhost:${rabbit.engine.port}` },
        '/readyz',
      )
      await eventually(async () => {
        const { broker } = (await call(one, '/readyz')).body as unknown as HealthReport
        return broker.problem?.startsWith('RabbitMQ does not speak TLS on this port')
      })
    })

    it('by a subscriber, which tells why in problem events', async () => {
      const NAMESPACE = freshNamespace()
      const notifier = await start('notifier', { NAMESPACE })
      const identity = { ca: ca.cert, cert: own.cert, key: own.key }
      const heard = async (
        tls: TlsOptions,
        { amqp, pull }: { amqp?: string; pull?: string },
        ...wanted: RegExp[]
      ): Promise<void> => {
        const { subscriber, problems } = await subscribe(notifier, NAMESPACE, tls, {
          ...(amqp === undefined ? {} : { amqp }),
          ...(pull === undefined ? {} : { pull }),
          waitReady: false,
        })
        for (const one of wanted) {
          await eventually(() => problems.some((problem) => one.test(problem)), {
            what: `${String(one)}, having heard ${[...new Set(problems)].join('; ')}`,
          })
        }
        expect(subscriber.isReady).to.equal(false)
        expect(subscriber.check({ ...oldToken(), sub: 'bob' }).code).to.equal('not_ready')
        await subscriber.close()
      }
      const foreign = { ...identity, ca: otherCa.cert }
      const untrusted = 'shows a certificate that no trusted authority has signed'
      await heard(
        { amqp: foreign, pull: foreign },
        {},
        new RegExp(`^tls_failed: RabbitMQ ${untrusted}`),
        new RegExp(`^pull_failed: .*the server ${untrusted}`),
      )
      await heard(
        { amqp: { ca: ca.cert }, pull: { ca: ca.cert } },
        {},
        /^tls_failed: RabbitMQ wants a client certificate/,
        /^pull_failed: .*certificate_needed/,
      )
      await heard(
        { amqp: identity, pull: identity },
        { amqp: expiredRabbit, pull: `https://other.localhost:${notifier.port}` },
        /^tls_failed: RabbitMQ shows a certificate that has expired/,
        /^pull_failed: /,
      )
    })
  })

  it('is how a process serves, with probes for everybody and calls for certificates alone', async () => {
    const one = await start('notifier')
    expect((await call(one, '/livez')).status).to.equal(200)
    expect((await call(one, '/v1/revocations?sub=alice', own)).status).to.equal(200)
    for (const identity of [{}, { cert: alien.cert, key: alien.key }]) {
      const { status, body } = await call(one, '/v1/revocations?sub=alice', identity)
      expect(status).to.equal(403)
      expect(body['code']).to.equal('certificate_needed')
      expect((await call(one, '/nowhere', identity)).status).to.equal(403)
    }
    const stranger = await call(one, '/livez', { ca: otherCa.cert }).then(
      () => 'believed',
      (error: unknown) => (error as { code?: string }).code,
    )
    expect(stranger).to.equal('SELF_SIGNED_CERT_IN_CHAIN')
    const plain = await fetch(`http://127.0.0.1:${one.port}/livez`).then(
      () => 'answered',
      () => 'refused',
    )
    expect(plain).to.equal('refused')
  })

  it('goes to a primary behind Sentinel as well', async () => {
    const sentinel = await startTlsSentinel(redis.tlsPort, engine, ca)
    try {
      const one = await start('notifier', {
        REDIS_URL: `rediss+sentinel://localhost:${sentinel.tlsPort}/knell`,
        NAMESPACE: freshNamespace(),
      })
      const revoked = await call(one, '/v1/revocations', { ...own, body: { match: { sub: 'a' } } })
      expect(revoked.status).to.equal(201)
      const blind = await start(
        'notifier',
        { REDIS_URL: `rediss+sentinel://127.0.0.1:${sentinel.tlsPort}/knell` },
        '/livez',
      )
      await eventually(async () => {
        const { store } = (await call(blind, '/readyz')).body as unknown as HealthReport
        return store.problem?.startsWith(
          'The Sentinel at 127.0.0.1 shows a certificate for other names',
        )
      })
      await Promise.all(running.splice(0).map((process) => process.stop()))
    } finally {
      await sentinel.engine.stop()
    }
  })

  it('goes by certificates that changed, from the next connection on', async () => {
    const issuer = await certificates.authority('next-ca')
    const next = await issuer.issue('next', { names: ['IP:127.0.0.1'] })
    const files = {
      TLS_CERT: certificates.fileOf('live', 'crt'),
      TLS_KEY: certificates.fileOf('live', 'key'),
      AMQP_CA: certificates.fileOf('live-ca', 'crt'),
    }
    copyFileSync(api.certFile, files.TLS_CERT)
    copyFileSync(api.keyFile, files.TLS_KEY)
    copyFileSync(otherCa.certFile, files.AMQP_CA)
    const one = await start('notifier', files)
    const { broker } = (await call(one, '/readyz')).body as unknown as HealthReport
    expect(broker.ok).to.equal(false)

    // What is unusable changes nothing.
    writeFileSync(files.TLS_KEY, next.key)
    await eventually(() => one.output.some((line) => line.includes('the old ones stay')))
    expect((await call(one, '/livez')).status).to.equal(200)

    writeFileSync(files.TLS_CERT, next.cert)
    writeFileSync(files.AMQP_CA, ca.cert)
    await eventually(async () => (await call(one, '/livez', { ca: issuer.cert })).status === 200)
    await eventually(async () => {
      const ready = (await call(one, '/readyz', { ca: issuer.cert })).body
      return (ready as unknown as HealthReport).broker.ok
    })
  })
})
