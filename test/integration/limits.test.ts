import { expect } from 'chai'
import type { FastifyInstance } from 'fastify'
import { request as httpRequest, type ClientRequest } from 'node:http'
import { pino } from 'pino'
import { createKeyRing, parseApiKeys } from '../../shared/config/api-keys.ts'
import { loadSettings } from '../../shared/config/settings.ts'
import { createApp } from '../../shared/http/app.ts'
import type { Limits } from '../../shared/http/limits.ts'
import { addFeedRoutes } from '../../shared/http/routes/feed.ts'
import { createServices, type Process } from '../../shared/process/create-services.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl, freshNamespace, openTestStore } from '../support/store.ts'
import { call, type Answer } from '../support/system.ts'
import { pauseWrites } from '../support/redis.ts'

const ONE = 'one-secret-01234567'
const TWO = 'two-secret-01234567'
const LIMITS: Limits = {
  failures: 2,
  failuresWindowMs: 60_000,
  callsPerKey: 2,
  pollsPerKey: 2,
  streamsPerKey: 2,
  waitsPerKey: 10,
  exportsPerKey: 1,
  snapshots: { places: 2, each: 1, waiting: 1 },
}

describe('the limits of an API key', function () {
  this.timeout(30_000)
  const namespace = freshNamespace()
  let services: Process
  let app: FastifyInstance
  let url: string

  before(async () => {
    const apiKeys = `one=${ONE}:* two=${TWO}:*`
    const env = {
      AMQP_URL: engineUrl('AMQP_URL'),
      REDIS_URL: engineUrl('REDIS_URL'),
      NAMESPACE: namespace,
      API_KEYS: apiKeys,
    }
    const log = pino({ level: 'silent' })
    services = createServices(loadSettings(env, 'notifier'), log)
    const ring = createKeyRing(parseApiKeys(apiKeys))
    const serving = (): void => services.health.assertServing()
    app = createApp(services.settings, log, () => ring, serving, LIMITS)
    addFeedRoutes(app, services)
    app.post('/v1/slow', () => ({}))
    services.health.start()
    await services.storeChecked
    url = await app.listen({ host: '127.0.0.1', port: 0 })
    await eventually(async () => (await call({ url }, ONE, '/v1/feed')).status === 200)
  })
  after(async () => {
    services.health.markStopping()
    services.watch.stop()
    await app.close()
    await services.relay.stop()
    await services.health.stop()
    await services.broker.close()
    services.store.close()
    await openTestStore({ namespace }).close()
  })

  const get = (key: string, path: string): Promise<Answer> => call({ url }, key, path)
  const expectTooMany = ({ status, body, headers }: Answer): void => {
    expect([status, body['code']]).to.deep.equal([429, 'too_many_requests'])
    expect(Number(headers.get('retry-after'))).to.be.at.least(1)
  }

  /** A call whose body does not end. */
  function hang(key: string): ClientRequest {
    const sent = httpRequest(`${url}/v1/slow`, {
      method: 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'content-length': '100',
      },
    })
    sent.on('error', () => {})
    sent.write('{')
    return sent
  }

  it('are so many calls at once, and no call of another key', async () => {
    const hanging = [hang(ONE), hang(ONE)]
    await eventually(async () => (await call({ url }, ONE, '/v1/slow', {})).status === 429)
    expectTooMany(await call({ url }, ONE, '/v1/slow', {}))
    expect((await call({ url }, TWO, '/v1/slow', {})).status).to.equal(200)
    expect((await get(ONE, '/v1/feed')).status, 'polls count for themselves').to.equal(200)
    for (const sent of hanging) sent.destroy()
    await eventually(async () => (await call({ url }, ONE, '/v1/slow', {})).status === 200)
  })

  it('are so many long polls at once', async () => {
    const { body } = await get(ONE, '/v1/feed')
    const after = (body['tails'] as { epoch: string; seq: number }[])
      .map(({ epoch, seq }) => `${epoch.split('.')[0]}-${seq}`)
      .join(',')
    const path = `/v1/feed?after=${after}&waitMs=20000`
    const polls = [0, 1].map(() => get(ONE, path))
    await eventually(async () => (await get(ONE, '/v1/feed')).status === 429)
    expectTooMany(await get(ONE, path))
    expect((await get(TWO, '/v1/feed')).status).to.equal(200)
    await services.rules.revoke('default', {
      op: 'revoke',
      match: { sub: 'alice' },
      ttlSeconds: 3600,
      skewSeconds: 0,
    })
    for (const answer of await Promise.all(polls)) expect(answer.status).to.equal(200)
    await eventually(async () => (await get(ONE, '/v1/feed')).status === 200)
  })

  it('are so many snapshots at once and waiting, and leave another key its turn', async () => {
    const admin = openTestStore({ namespace: freshNamespace() })
    // What is asked meanwhile is answered only after all of it has come.
    await pauseWrites(admin.store.redis, 1000)
    const snapshot = async (key: string): Promise<number> => {
      const response = await fetch(`${url}/v1/snapshot`, {
        headers: { authorization: `Bearer ${key}`, connection: 'close' },
      })
      await response.text()
      return response.status
    }
    const [ours, theirs] = await Promise.all([
      Promise.all(Array.from({ length: 6 }, () => snapshot(ONE))),
      snapshot(TWO),
    ])
    await admin.close()
    expect(ours.sort((a, b) => a - b)).to.deep.equal([200, 200, 429, 429, 429, 429])
    expect(theirs).to.equal(200)
    expect(await snapshot(ONE)).to.equal(200)
  })

  it('give the turn of a caller that went while it waited to the next', async () => {
    const admin = openTestStore({ namespace: freshNamespace() })
    await pauseWrites(admin.store.redis, 500)
    const gone = new AbortController()
    const headers = { authorization: `Bearer ${ONE}`, connection: 'close' }
    const first = fetch(`${url}/v1/snapshot`, { headers, signal: gone.signal }).catch(() => {})
    const second = fetch(`${url}/v1/snapshot`, { headers, signal: gone.signal }).catch(() => {})
    await eventually(async () => {
      const response = await fetch(`${url}/v1/snapshot`, { headers })
      await response.body?.cancel()
      return response.status === 429
    })
    gone.abort()
    await Promise.all([first, second])
    await admin.close()
    for (let i = 0; i < 5; i++) {
      await eventually(async () => {
        const response = await fetch(`${url}/v1/snapshot`, { headers })
        await response.text()
        return response.status === 200
      })
    }
  })

  it('have a wrong secret told to slow down, and a right one served all the same', async () => {
    const answers: Answer[] = []
    for (let i = 0; i < 4; i++) answers.push(await get(`wrong-${i}`, '/v1/feed'))
    expect(answers.map(({ status }) => status)).to.deep.equal([401, 401, 429, 429])
    expect(Number(answers[3]?.headers.get('retry-after'))).to.be.within(50, 60)
    expect((await get(ONE, '/v1/feed')).status).to.equal(200)
    const none = await fetch(`${url}/v1/nothing`, { headers: { connection: 'close' } })
    expect(none.status).to.equal(429)
    await none.body?.cancel()
  })
})
