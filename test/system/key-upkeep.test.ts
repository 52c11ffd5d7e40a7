import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { keySpaceOf } from '../../shared/store/keys.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { readUnverified } from '../../shared/tokens/read-unverified.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

interface Key {
  readonly kid: string
  readonly state: string
}

describe('The upkeep of signing keys', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    system = createSystem({
      ISSUER: 'https://id.example',
      ISSUER_ENABLED: '1',
      KEY_ENCRYPTION_KEY: randomBytes(32).toString('base64url'),
      MAX_TOKEN_TTL: '5s',
      ACCESS_TTL: '5s',
    })
    notifier = await system.start('notifier')
  })
  after(() => system.stop())

  const keys = async (): Promise<readonly Key[]> =>
    (await call(notifier, system.apiKey, '/v1/keys')).body['keys'] as Key[]
  const kidNow = async (): Promise<string> => {
    const login = { sub: 'alice', client_id: 'web', aud: 'api' }
    const { body } = await call(notifier, system.apiKey, '/v1/sessions', login)
    return String(readUnverified(String(body['access_token'])).header['kid'])
  }

  /** Changes the ring in the store itself. */
  async function alter(change: (key: Record<string, unknown>) => object): Promise<void> {
    const redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    try {
      const { ring: key } = keySpaceOf(system.namespace).shard('default', 0)
      const ring = JSON.parse((await redis.get(key)) ?? '') as { keys: Record<string, unknown>[] }
      await redis.set(key, JSON.stringify({ v: 1, keys: ring.keys.map(change) }))
    } finally {
      redis.disconnect()
    }
  }

  it('rotates by cron, once however many pollers there are and no new key, and tells the audit trail', async () => {
    const before = await kidNow()
    // As if it had been published for long.
    await alter((key) => ({ ...key, createdAt: Number(key['createdAt']) - 3600 }))
    const KEY_ROTATION_CRON = '* * * * * *'
    const pollers = await Promise.all([
      system.start('poller', { KEY_ROTATION_CRON }),
      system.start('poller', { KEY_ROTATION_CRON }),
    ])
    await eventually(async () => (await kidNow()) !== before, { what: 'another key to sign' })
    const after = await call(notifier, system.apiKey, '/v1/sweeps?limit=1')
    const [{ run }] = after.body['sweeps'] as [{ run: number }]
    await eventually(
      async () => {
        const { body } = await call(notifier, system.apiKey, '/v1/sweeps?limit=1')
        return (body['sweeps'] as [{ run: number }])[0].run > run + 1
      },
      { what: 'two more sweeps', timeoutMs: 20_000 },
    )
    await Promise.all(pollers.map((poller) => poller.stop()))
    const { body } = await call(notifier, system.apiKey, '/v1/audit?action=rotate-key')
    expect(body['audit']).to.have.length(1)
    const ended = (await keys()).filter(({ state }) => state === 'retiring' || state === 'retired')
    expect(ended.map(({ kid }) => kid)).to.deep.equal([before])
  })

  it('rotates by command only to a key that verifiers can know, unless it is forced', async () => {
    const rotate = (body: object): ReturnType<typeof call> =>
      call(notifier, system.apiKey, '/v1/keys/rotate', body)
    const early = await rotate({})
    expect(early.status).to.equal(409)
    expect(early.body).to.include({ code: 'key_too_new' })
    expect(Number(early.headers.get('retry-after'))).to.be.within(1, 300)
    expect((await rotate({ force: true })).status).to.equal(200)
  })

  it('lets no process run, seal or refuse that has another key-encryption key than the rest', async () => {
    const KEY_ENCRYPTION_KEY = randomBytes(32).toString('hex')
    const wrong = await system
      .start('notifier', { KEY_ENCRYPTION_KEY }, '/livez')
      .catch((error: unknown) => String(error))
    const said = typeof wrong === 'string' ? wrong : wrong.output
    if (typeof wrong !== 'string') expect((await wrong.exited).code).to.equal(78)
    expect(String(said)).to.include('KEY_ENCRYPTION_KEY must hold the key it was sealed with')
    await kidNow()
  })

  it('mends what was left half done: a revoked key without its rule, and a rule without its revoked key', async () => {
    const stolen = await kidNow()
    // As after a crash between the two steps of a revocation.
    await alter(({ sealed, ...key }) =>
      key['kid'] === stolen
        ? { ...key, state: 'revoked', endedAt: Math.floor(Date.now() / 1000) }
        : { ...key, ...(sealed === undefined ? {} : { sealed }) },
    )
    const next = await kidNow()
    const killed = await call(notifier, system.apiKey, '/v1/revocations', { match: { kid: next } })
    expect(killed.status).to.equal(201)
    await system.start('poller')
    await eventually(
      async () => {
        const { body } = await call(notifier, system.apiKey, `/v1/revocations?kid=${stolen}`)
        return body['rule'] !== null
      },
      { what: 'the rule of the revoked key', timeoutMs: 20_000 },
    )
    await eventually(
      async () => (await keys()).find(({ kid }) => kid === next)?.state === 'revoked',
      { what: 'the key that a rule has killed to be revoked', timeoutMs: 20_000 },
    )
    expect((await keys()).filter(({ state }) => state === 'active')).to.have.length(1)
  })
})
