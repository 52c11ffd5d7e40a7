import { expect } from 'chai'
import { isKnellError } from '../../../shared/domain/errors.ts'
import { eventually } from '../../support/eventually.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'
import { serversOf } from '../../support/redis.ts'

describe('the quota of registered tokens', () => {
  let test: TestStore
  let most: Record<string, number>
  let leadSeconds: number[]
  let exp: number
  beforeEach(async () => {
    most = { small: 5, large: Infinity }
    leadSeconds = []
    test = openTestStore({
      shards: 1,
      settingsOf: (tenant) => ({ leadSeconds, maxTokens: most[tenant] ?? Infinity }),
    })
    exp = Math.floor((await test.store.touch('small', 0)).at / 1000) + 100
  })
  afterEach(() => test.close())

  async function register(tenant: string, ids: readonly string[], at = exp): Promise<string[]> {
    return Promise.all(
      ids.map(async (jti) => {
        try {
          await test.tokens.register(tenant, { jti, exp: at })
          return 'kept'
        } catch (error) {
          return isKnellError(error) ? error.code : String(error)
        }
      }),
    )
  }

  async function countOf(tenant: string): Promise<number> {
    return Number(await test.store.redis.hget(test.store.keys.shard(tenant, 0).meta, 'tokens'))
  }

  async function drain(tenant: string, second: number): Promise<void> {
    await test.store.redis.hset(test.store.keys.shard(tenant, 0).meta, 'now', second * 1000)
    for (let left = 1; left > 0;) {
      left = (await test.tokens.drain(tenant, 0, second, '0', 1e6, 2)).left
    }
  }

  const ids = (count: number, prefix = 'j'): string[] =>
    Array.from({ length: count }, (_, i) => `${prefix}${i}`)

  for (const leads of [[], [10, 50]]) {
    const what = leads.length === 0 ? 'without lead times' : 'with lead times'

    it(`takes exactly as many as it says, alone and in a group, ${what}`, async () => {
      leadSeconds = leads
      expect(await register('small', ids(4))).to.deep.equal(ids(4).map(() => 'kept'))
      expect(await register('small', ['j4'])).to.deep.equal(['kept'])
      expect(await register('small', ['j5'])).to.deep.equal(['quota_exceeded'])
      expect(await countOf('small')).to.equal(5)
      most['small'] = 8
      const group = await register('small', ['j0', 'k0', 'k0', 'j1', 'k1', 'k2', 'k3', 'j4', 'k4'])
      expect(group.map((code) => (code === 'kept' ? 1 : 0))).to.deep.equal([
        1, 1, 1, 1, 1, 1, 0, 1, 0,
      ])
      expect(await countOf('small')).to.equal(8)
    })

    it(`takes a token again that is registered already, however full it is, ${what}`, async () => {
      leadSeconds = leads
      await register('small', ids(5))
      expect(await register('small', ids(5))).to.deep.equal(ids(5).map(() => 'kept'))
      expect(await countOf('small')).to.equal(5)
    })

    it(`has room again when tokens were announced, and counts none in the end, ${what}`, async () => {
      leadSeconds = leads
      await register('small', ids(3))
      await register('small', ids(2, 'later'), exp + 10)
      const seconds = async (): Promise<number[]> =>
        (await test.store.redis.zrange(test.store.keys.shard('small', 0).wheel, '0', '-1')).map(
          Number,
        )
      for (let next = await seconds(); Number(next[0]) < exp; next = await seconds()) {
        await drain('small', Number(next[0]))
      }
      expect(await countOf('small'), 'an announcement before exp frees nothing').to.equal(5)
      expect(await register('small', ['more'], exp + 90)).to.deep.equal(['quota_exceeded'])
      await drain('small', exp)
      expect(await countOf('small')).to.equal(2)
      expect(await register('small', ['more'], exp + 90)).to.deep.equal(['kept'])
      for (let next = await seconds(); next.length > 0; next = await seconds()) {
        await drain('small', Number(next[0]))
      }
      expect(await countOf('small')).to.equal(0)
    })
  }

  it('counts a token that was revoked until its exp has come, and no longer', async () => {
    await register('small', ids(5))
    const match = { jti: 'j0' }
    await test.rules.revoke('small', { op: 'revoke', match, ttlSeconds: 3600, skewSeconds: 0 })
    expect(await countOf('small')).to.equal(5)
    await drain('small', exp)
    expect(await countOf('small')).to.equal(0)
  })

  it('takes no room from another tenant, and stops no revocation', async () => {
    await register('small', ids(600))
    expect(await countOf('small')).to.equal(5)
    const large = await register('large', ids(600))
    expect(new Set(large)).to.deep.equal(new Set(['kept']))
    const match = { jti: 'j599' }
    const done = await test.rules.revoke('small', {
      op: 'revoke',
      match,
      ttlSeconds: 3600,
      skewSeconds: 0,
    })
    expect(done.ids).to.have.length(1)
    expect(await countOf('large')).to.equal(600)
  })

  it('is shared by the shards in equal parts, rounded up', async () => {
    const three = openTestStore({
      shards: 3,
      settingsOf: () => ({ leadSeconds: [], maxTokens: 100 }),
    })
    try {
      const results = await Promise.allSettled(
        ids(1000).map((jti) => three.tokens.register('a', { jti, exp })),
      )
      expect(results.filter(({ status }) => status === 'fulfilled')).to.have.length(3 * 34)
    } finally {
      await three.close()
    }
  })

  it('rights itself when the wheel is empty, whatever became of its keys', async () => {
    const keys = test.store.keys.shard('small', 0)
    await register('small', ids(5))
    await test.store.redis.del(keys.second(exp))
    expect(await register('small', ['k'])).to.deep.equal(['quota_exceeded'])
    await drain('small', exp)
    expect(await countOf('small')).to.equal(0)

    exp += 100
    await register('small', ids(5))
    await test.store.redis.del(keys.second(exp), keys.wheel)
    expect(await register('small', ids(6, 'k'))).to.deep.equal([
      ...ids(5).map(() => 'kept'),
      'quota_exceeded',
    ])
    expect(await countOf('small')).to.equal(5)

    await test.store.redis.hset(keys.meta, 'tokens', 1)
    await drain('small', exp)
    expect(await countOf('small')).to.equal(0)
  })

  it('looks up nothing while it is far away and there are no lead times', async () => {
    const { redis, keys } = test.store
    const servers = await serversOf(redis)
    const monitors = await Promise.all(servers.map((server) => server.monitor()))
    // In the slot of the shard, so that the same server tells of it last.
    const marker = `{${/\{(.+?)\}/.exec(keys.shard('small', 0).wheel)?.[1]}}:marker`
    const seen: string[] = []
    const declared: string[] = []
    let isMarked = false
    const look = (_time: string, args: readonly string[]): void => {
      if (args[1]?.startsWith(keys.shard('small', 0).wheel.replace('wheel', ''))) {
        seen.push(String(args[0]).toUpperCase())
      }
      const isScript = /^eval/i.test(String(args[0])) && args[3] === keys.shard('small', 0).meta
      if (isScript) declared.push(String(args[2]))
      if (args[1] === marker) isMarked = true
    }
    for (const monitor of monitors) monitor.on('monitor', look)
    try {
      most['small'] = 1000
      await register('small', ids(50))
      await register('small', ids(50))
      await redis.exists(marker)
      await eventually(() => isMarked)
      expect(seen).to.include('HSET')
      expect(new Set(declared), 'meta, index and one second').to.deep.equal(new Set(['3']))
      expect(seen).to.not.include('HEXISTS')
    } finally {
      for (const monitor of monitors) monitor.disconnect()
    }
  })
})
