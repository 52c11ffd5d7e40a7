import { expect } from 'chai'
import { createSystem, call, type TestSystem } from '../support/system.ts'

describe('a process that is started wrongly', function () {
  this.timeout(60_000)
  let system: TestSystem
  beforeEach(() => {
    system = createSystem()
  })
  afterEach(() => system.stop())

  async function refusal(env: Record<string, string>): Promise<string> {
    try {
      await system.start('notifier', env)
      return 'it started'
    } catch (error) {
      return (error as Error).message
    }
  }

  it('tells every problem with its settings at once, and no secret', async () => {
    const said = await refusal({
      AMQP_URL: 'http://user:hunter2hunter2@nowhere',
      SHARDS: 'many',
      BEAT: '5',
      SWEEP_CRON: 'now and then',
      API_KEYS: 'me=hunter2hunter2hunter2',
    })
    expect(said).to.contain('ended (78)')
    for (const name of ['AMQP_URL', 'SHARDS', 'BEAT', 'SWEEP_CRON', 'me']) {
      expect(said).to.contain(name)
    }
    expect(said).not.to.contain('hunter2')
  })

  it('refuses to run without API keys', async () => {
    const said = await refusal({ API_KEYS: '' })
    expect(said).to.contain('ended (78)').and.contain('--dev')
  })

  it('refuses a store that was made with another number of shards, in plain words, and writes nothing to it', async () => {
    const notifier = await system.start('notifier')
    await call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'a' } })
    const said = await refusal({ SHARDS: '2' })
    expect(said).to.contain('ended (78)').and.contain('SHARDS=4')
  })

  it('refuses, when told to be strict, a store that may lose what it acknowledged', async () => {
    const { startRedis } = await import('../../shared/cli/engines/private-redis.ts')
    const redis = await startRedis({ args: ['--appendonly', 'no'] })
    try {
      const said = await refusal({ REDIS_URL: redis.url, STORE_STRICT: '1' })
      expect(said).to.contain('ended (78)').and.contain('appendonly')
    } finally {
      await redis.stop()
    }
  })
})
