import { expect } from 'chai'
import { createHash } from 'node:crypto'
import { cp, rm } from 'node:fs/promises'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { shardOfMatch } from '../../shared/domain/shard.ts'
import { keySpaceOf } from '../../shared/store/keys.ts'
import { createRedis } from '../../shared/store/redis.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import { openProxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuingSystem, LoginService, tokensOf } from '../support/issuing.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { dies, type TestSystem } from '../support/system.ts'

/** What the store keeps of the family of a refresh token. */
async function keptOf(
  redis: RedisClient,
  { namespace }: TestSystem,
  refresh: string,
): Promise<Record<string, string>> {
  const id = String(refresh.split('.')[1])
  const shard = shardOfMatch({ sid: id }, 4)
  return redis.hgetall(keySpaceOf(namespace).shard('default', shard).family(id))
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

describe('Refreshing, whatever fails,', function () {
  this.timeout(90_000)
  let engine: PrivateEngine
  let redis: RedisClient
  let system: TestSystem
  let service: LoginService
  let one: KnellProcess
  let two: KnellProcess

  before(async () => {
    engine = await startRedis()
    redis = createRedis(parseRedisUrl(engine.url), () => {})
    system = createIssuingSystem({ REDIS_URL: engine.url, REFRESH_GRACE: '30s' })
    service = new LoginService(system)
    one = await system.start('notifier')
    two = await system.start('notifier')
  })
  after(async () => {
    await system.stop()
    redis.disconnect()
    await engine.stop()
  })

  it('gives the same successor again where the notifier is killed after the rotation, before the answer', async () => {
    const doomed = await system.start('notifier')
    const { port } = new URL(doomed.url)
    const proxy = await openProxy({ target: { host: '127.0.0.1', port: Number(port) } })
    try {
      const { refresh } = await service.login(one)
      proxy.swallow('down')
      const lost = service
        .refresh({ ...doomed, url: new URL(proxy.url(doomed.url)).origin }, refresh)
        .then(
          () => 'answered',
          () => 'lost',
        )
      await eventually(async () => (await keptOf(redis, system, refresh))['gen'] === '2', {
        intervalMs: 1,
      })
      await doomed.kill('SIGKILL')
      await proxy.cut()
      expect(await lost).to.equal('lost')
      const next = tokensOf(await service.refresh(two, refresh))
      const kept = await keptOf(redis, system, refresh)
      expect([kept['gen'], kept['cur']]).to.deep.equal(['2', hashOf(next.refresh)])
      expect((await service.refresh(one, next.refresh)).status).to.equal(200)
    } finally {
      await proxy.close()
    }
  })

  it('keeps no token in the store, not even a part of one', async () => {
    const { refresh } = await service.login(one, { sub: 'dump' })
    const next = tokensOf(await service.refresh(two, refresh))
    const everything: string[] = []
    for (const key of await redis.keys(`${system.namespace}:*`)) {
      const type = await redis.type(key)
      if (type === 'hash') everything.push(JSON.stringify(await redis.hgetall(key)))
      if (type === 'string') everything.push(String(await redis.get(key)))
      if (type === 'stream') everything.push(JSON.stringify(await redis.xrange(key, '-', '+')))
    }
    const text = everything.join('\n')
    expect(text).to.include(hashOf(next.refresh))
    for (const token of [refresh, next.refresh]) expect(text).not.to.include(token.split('.')[3])
  })

  it('goes on after the store was put back to an older state, and knows a reuse from then on', async () => {
    const first = await service.login(one, { sub: 'back' })
    await engine.signal('SIGTERM')
    await cp(engine.dir, `${engine.dir}-copy`, { recursive: true })
    await engine.start()
    let newest = first.refresh
    const older: string[] = []
    for (let i = 0; i < 3; i++) {
      older.push(newest)
      newest = await eventually(async () => tokensOf(await service.refresh(one, newest)).refresh)
    }
    await engine.signal('SIGKILL')
    await rm(engine.dir, { recursive: true })
    await cp(`${engine.dir}-copy`, engine.dir, { recursive: true })
    await rm(`${engine.dir}-copy`, { recursive: true })
    await engine.start()
    const next = await eventually(async () => tokensOf(await service.refresh(two, newest)))
    expect((await keptOf(redis, system, newest))['gen']).to.equal('5')
    const reused = await service.refresh(one, String(older[2]))
    expect(reused.body['code']).to.equal('refresh_token_reused')
    expect((await service.refresh(one, next.refresh)).body['code']).to.equal('refresh_token_reused')
  })

  it('ends at the end of the session', async () => {
    const short = await system.start('notifier', { REFRESH_TTL: '2s', ACCESS_TTL: '1s' })
    const { refresh } = await service.login(short, { sub: 'short' })
    const next = tokensOf(await service.refresh(short, refresh))
    await eventually(async () => {
      const { status, body } = await service.refresh(one, next.refresh)
      return (
        status === 400 && ['session_ended', 'refresh_token_invalid'].includes(String(body['code']))
      )
    })
    await eventually(async () => Object.keys(await keptOf(redis, system, refresh)).length === 0)
  })

  it('takes tokens that were made under the key-encryption key before the last change of it', async () => {
    const { refresh } = await service.login(one, { sub: 'kek' })
    const old = String(system.env['KEY_ENCRYPTION_KEY'])
    const changed = await system.start('notifier', {
      KEY_ENCRYPTION_KEY: `${'ab'.repeat(32)} ${old}`,
    })
    const second = tokensOf(await service.refresh(changed, refresh))
    // The old process gave out the successor, and the new one answers it again.
    const other = await service.login(one, { sub: 'kek' })
    const given = tokensOf(await service.refresh(one, other.refresh))
    expect(tokensOf(await service.refresh(changed, other.refresh)).refresh).to.equal(given.refresh)
    expect((await service.refresh(changed, second.refresh)).status).to.equal(200)
    const without = await service.refresh(one, second.refresh)
    expect(without.body['code']).to.equal('refresh_token_invalid')
  })
})

describe('Refreshing on Redis Cluster', function () {
  this.timeout(60_000)

  it('begins, rotates, finds a reuse and ends, each session in the shard of its sid', async () => {
    const { redis, nodes } = await startRedisCluster()
    const system = createIssuingSystem({ REDIS_URL: nodes, REFRESH_GRACE: '0s' })
    try {
      const notifier = await system.start('notifier')
      const service = new LoginService(system)
      const subscriber = await system.subscribe()
      for (const sid of ['a', 'b', 'c', 'd', 'e', undefined]) {
        const first = await service.login(notifier, { sub: 'c', ...(sid && { sid }) })
        const second = tokensOf(await service.refresh(notifier, first.refresh))
        const reused = await service.refresh(notifier, first.refresh)
        expect(reused.body['code']).to.equal('refresh_token_reused')
        await dies(subscriber, { sid: second.sid })
      }
      const last = await service.login(notifier, { sid: 'z' })
      const ended = await service.ask(notifier, '/v1/sessions/end', { sid: 'z' })
      expect(ended.status).to.equal(200)
      const refused = await service.refresh(notifier, last.refresh)
      expect(refused.body['code']).to.equal('session_ended')
    } finally {
      await system.stop()
      await redis.stop()
    }
  })
})
