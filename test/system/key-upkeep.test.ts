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
      MAX_TOKEN_TTL: '1s',
      ACCESS_TTL: '1s',
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

  it('rotates by cron, once however many pollers there are, and tells the audit trail', async () => {
    const before = await kidNow()
    const KEY_ROTATION_CRON = '* * * * * *'
    const pollers = await Promise.all([
      system.start('poller', { KEY_ROTATION_CRON }),
      system.start('poller', { KEY_ROTATION_CRON }),
    ])
    await eventually(async () => (await kidNow()) !== before, { what: 'another key to sign' })
    await Promise.all(pollers.map((poller) => poller.stop()))
    const { body } = await call(notifier, system.apiKey, '/v1/audit?action=rotate-key')
    const records = body['audit'] as object[]
    expect(records.length).to.be.greaterThan(0)
    const ended = (await keys()).filter(({ state }) => state === 'retiring' || state === 'retired')
    expect(ended).to.have.length(records.length)
  })

  it('mends what was left half done: a revoked key without its rule, and a rule without its revoked key', async () => {
    const stolen = await kidNow()
    const redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    try {
      // As after a crash between the two steps of a revocation.
      const { ring: key } = keySpaceOf(system.namespace).shard('default', 0)
      const ring = JSON.parse((await redis.get(key)) ?? '') as { keys: Record<string, unknown>[] }
      const left = ring.keys.map(({ sealed, ...each }) =>
        each['kid'] === stolen
          ? { ...each, state: 'revoked', endedAt: Math.floor(Date.now() / 1000) }
          : { ...each, ...(sealed === undefined ? {} : { sealed }) },
      )
      await redis.set(key, JSON.stringify({ v: 1, keys: left }))
    } finally {
      redis.disconnect()
    }
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
