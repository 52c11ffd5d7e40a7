import { expect } from 'chai'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRedisCluster } from '../../shared/cli/engines/redis-cluster.ts'
import { startSentinels } from '../../shared/cli/engines/redis-sentinels.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { violationsOf, type RevocationCall } from '../../shared/testing/history.ts'
import { eventually } from '../support/eventually.ts'
import { startLoad } from '../support/load.ts'
import { keysOf, openRedis } from '../support/redis.ts'
import { call, createSystem, now, oldToken, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

const PATIENCE = { timeoutMs: 120_000, intervalMs: 200 }

interface Servers {
  readonly url: string
  readonly masters: readonly PrivateEngine[]
  stop(): Promise<void>
}

const kinds: Readonly<Record<string, () => Promise<Servers>>> = {
  'Redis Cluster, of whose masters one dies,': startRedisCluster,
  'Redis behind Sentinel, whose primary dies,': async () => {
    const sentinels = await startSentinels()
    return { ...sentinels, masters: sentinels.nodes.slice(0, 1) }
  },
}

for (const [title, startServers] of Object.entries(kinds)) {
  describe(title, function () {
    this.timeout(400_000)
    let servers: Servers
    let system: TestSystem
    let witness: Witness
    let notifier: KnellProcess
    let poller: KnellProcess
    let view: Subscriber

    before(async () => {
      servers = await startServers()
      system = createSystem({ REDIS_URL: servers.url })
      notifier = await system.start('notifier')
      poller = await system.start('poller')
      view = await system.subscribe()
      witness = createWitness(system)
    })
    after(async () => {
      await system?.stop()
      await servers?.stop()
    })

    /** The one that has the first shard of the tenant. */
    async function masterOfShard0(): Promise<PrivateEngine> {
      for (const master of servers.masters) {
        const redis = openRedis(master.url)
        const keys = await keysOf(redis, `${system.namespace}:{default.0}:*`)
        redis.disconnect()
        if (keys.length > 0) return master
      }
      throw new Error('No master has the shard.')
    }

    async function termOfShard0(): Promise<number | undefined> {
      const { body } = await call(notifier, system.apiKey, '/v1/feed?log=revocations&limit=1')
      const epochs = body['epochs'] as string[] | undefined
      return epochs?.[0] === undefined ? undefined : Number(epochs[0].split('.')[0])
    }

    /** Whether the store still knows of it. */
    async function survived({ match }: RevocationCall): Promise<boolean> {
      const claims = { ...oldToken(), ...match }
      const { status, body } = await call(poller, system.apiKey, '/v1/check', { claims })
      if (status !== 200) throw new Error(`the check answers ${status}`)
      return body['code'] === 'revoked'
    }

    it('goes on in a new term; views keep all they knew, and a new one has all that survived', async () => {
      const load = startLoad(witness, notifier, 4)
      let term = 0
      try {
        await eventually(() => witness.acknowledged.length > 200, { ...PATIENCE, what: 'load' })
        term = Number(await termOfShard0())
        const master = await masterOfShard0()
        await master.signal('SIGKILL')
        const higher = async (): Promise<boolean> => Number(await termOfShard0()) > term
        await eventually(higher, { ...PATIENCE, what: 'a higher term' })
        const { length } = witness.acknowledged
        const more = (): boolean => witness.acknowledged.length > length + 200
        await eventually(more, { ...PATIENCE, what: 'load on the new master' })
      } finally {
        await load.stop()
      }
      const fresh = (): boolean => view.freshness().staleMs < 5_000
      await eventually(fresh, { ...PATIENCE, what: 'the view to be fresh' })

      const { acknowledged, unknown } = witness
      const fate = await Promise.all(acknowledged.map(survived))
      const kept = acknowledged.filter((_, index) => fate[index])
      const lost = acknowledged.filter((_, index) => !fate[index])
      console.log(`      ${acknowledged.length} acknowledged, ${lost.length} lost by the fail-over`)
      const bystander = { ...oldToken(), sub: 'bystander', jti: 'bystander' }
      const history = { spared: [{ claims: bystander }], life: oldToken(), now: now() }
      const late = await system.subscribe({ service: 'late', pull: [poller.url] })
      const check = async (): Promise<boolean> => {
        const found = [
          // Also what the store has lost, since it was published.
          ...(await violationsOf({ ...history, acknowledged, unknown }, [
            { name: 'old', check: (...args) => view.check(...args) },
          ])),
          ...(await violationsOf(
            { ...history, acknowledged: kept, unknown: [...unknown, ...lost] },
            [{ name: 'new', check: (...args) => late.check(...args) }],
          )),
        ]
        if (found.length > 0) throw new Error(found.slice(0, 10).join('\n'))
        return true
      }
      await eventually(check, { timeoutMs: 30_000, what: 'the guarantees to hold' })
      expect(kept.length, 'the fail-over loses what was under way at most').to.be.greaterThan(
        acknowledged.length * 0.9,
      )
    })
  })
}

/** Moves a slot as `redis-cli --cluster reshard` does, but slowly: some keys at a time, while others still lie where they were. */
async function moveSlot(slot: number, from: Redis, to: Redis, others: readonly Redis[]) {
  const [source, target] = (await Promise.all(
    [from, to].map((redis) => redis.call('CLUSTER', 'MYID')),
  )) as string[]
  const set = (redis: Redis, ...state: (string | undefined)[]): Promise<unknown> =>
    redis.call('CLUSTER', 'SETSLOT', slot, ...state.map(String))
  await set(to, 'IMPORTING', source)
  await set(from, 'MIGRATING', target)
  const { host = '', port = 0 } = to.options
  for (;;) {
    const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, 3)) as string[]
    if (keys.length === 0) break
    await from.call('MIGRATE', host, port, '', 0, 5000, 'KEYS', ...keys)
    await delay(50)
  }
  for (const redis of [to, from, ...others]) await set(redis, 'NODE', target)
}

describe('Redis Cluster, whose slots move under load,', function () {
  this.timeout(400_000)
  let servers: Awaited<ReturnType<typeof startRedisCluster>>
  let system: TestSystem
  let masters: Redis[] = []

  before(async () => {
    servers = await startRedisCluster()
    masters = servers.masters.map(({ url }) => new Redis(url))
    system = createSystem({ REDIS_URL: servers.url })
  })
  after(async () => {
    await system?.stop()
    for (const redis of masters) redis.disconnect()
    await servers?.stop()
  })

  it('loses nothing and announces each token once; what it refuses meanwhile, it takes afterwards', async () => {
    const notifier = await system.start('notifier')
    await system.start('poller')
    const view = await system.subscribe()
    const witness = createWitness(system)
    const jtis = Array.from({ length: 400 }, (_, i) => `due-${i}`)
    const load = startLoad(witness, notifier, 4)
    try {
      await eventually(() => witness.acknowledged.length > 200, { ...PATIENCE, what: 'load' })
      expect(await witness.register(notifier, jtis, now() + 4)).to.equal(true)
      for (let shard = 0; shard < 4; shard++) {
        const key = `${system.namespace}:{default.${shard}}:meta`
        const slot = Number(await masters[0]?.call('CLUSTER', 'KEYSLOT', key))
        const counts = await Promise.all(
          masters.map((redis) => redis.call('CLUSTER', 'COUNTKEYSINSLOT', slot)),
        )
        const at = counts.findIndex((count) => Number(count) > 0)
        const [from, to, ...others] = [...masters.slice(at), ...masters.slice(0, at)]
        if (from === undefined || to === undefined) throw new Error('Nobody has the slot.')
        await moveSlot(slot, from, to, others)
        const { length } = witness.acknowledged
        const more = (): boolean => witness.acknowledged.length > length + 50
        await eventually(more, { ...PATIENCE, what: 'load after the move' })
      }
    } finally {
      await load.stop()
    }
    console.log(
      `      ${witness.acknowledged.length} acknowledged, ${witness.unknown.length} refused or unknown`,
    )
    await witness.holds(notifier, [view], PATIENCE.timeoutMs)
  })
})
