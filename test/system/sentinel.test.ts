import { expect } from 'chai'
import { startSentinels, type Sentinels } from '../../shared/cli/engines/redis-sentinels.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { eventually } from '../support/eventually.ts'

import {
  call,
  createSystem,
  dies,
  oldToken,
  type Answer,
  type TestSystem,
} from '../support/system.ts'

/** What Redis says about itself, by name. */
async function infoOf(url: string): Promise<ReadonlyMap<string, string>> {
  const redis = createRedis(parseRedisUrl(url), () => {})
  try {
    const lines = (await redis.info('replication')).split('\r\n')
    return new Map(lines.map((line) => line.split(':', 2) as [string, string]))
  } finally {
    redis.disconnect()
  }
}

describe('on Redis behind Sentinel, as docker-compose.yml has it', function () {
  this.timeout(120_000)
  let sentinels: Sentinels
  let system: TestSystem
  before(async () => {
    sentinels = await startSentinels()
    system = createSystem({ REDIS_URL: sentinels.url })
  })
  after(async () => {
    await system?.stop()
    await sentinels?.stop()
  })

  it('goes on when the primary is killed, with everything that a replica has, in a new epoch', async () => {
    const notifier = await system.start('notifier')
    const poller = await system.start('poller')
    const service = await system.subscribe()
    const revoke = (sub: string) =>
      call(notifier, system.apiKey, '/v1/revocations', { match: { sub } })
    const before = await Promise.all(Array.from({ length: 200 }, (_, i) => revoke(`before-${i}`)))
    expect(before.filter(({ status }) => status === 201)).to.have.length(200)
    const [primary, ...replicas] = sentinels.nodes
    if (!primary) throw new Error('There is no primary.')
    const { master_repl_offset: offset } = Object.fromEntries(await infoOf(primary.url))
    await eventually(async () => {
      const infos = await Promise.all(replicas.map(({ url }) => infoOf(url)))
      return infos.every((info) => Number(info.get('slave_repl_offset')) >= Number(offset))
    })
    await primary.signal('SIGKILL')
    // While nobody is primary a call waits, or fails with a code and may be sent again.
    const tries: Answer[] = []
    await eventually(
      async () => {
        const answer = await revoke('after')
        tries.push(answer)
        return answer.status === 201
      },
      { timeoutMs: 60_000, intervalMs: 200, what: 'a new primary' },
    )
    const after = tries.pop() as Answer
    for (const { body } of tries) expect(body['code']).to.equal('store_unavailable')
    await dies(service, { sub: 'after' })
    const termOf = (epoch: unknown): number => Number(String(epoch).split('.')[0])
    const sameShard = before.find(({ body }) => body['shard'] === after.body['shard'])
    expect(termOf(after.body['epoch'])).to.be.greaterThan(termOf(sameShard?.body['epoch']))
    // A service that starts only now knows of all of them.
    const late = await system.subscribe({ service: 'late', pull: [poller.url] })
    for (let i = 0; i < 200; i++) {
      const claims = { ...oldToken(), sub: `before-${i}` }
      expect(late.check(claims).code, claims.sub).to.equal('revoked')
      expect(service.check(claims).code, claims.sub).to.equal('revoked')
    }
    await eventually(() => service.freshness().staleMs < 5000, { timeoutMs: 30_000 })

    // The old primary comes back as a replica, and stays one: its configuration was rewritten.
    await primary.start()
    await eventually(async () => (await infoOf(primary.url)).get('role') === 'slave', {
      timeoutMs: 30_000,
      what: 'the old primary to become a replica',
    })
    await primary.signal('SIGTERM')
    await primary.start()
    expect((await infoOf(primary.url)).get('role')).to.equal('slave')
  })
})
