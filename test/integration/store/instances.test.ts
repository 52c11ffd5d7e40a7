import { expect } from 'chai'
import type { Ack } from '../../../shared/domain/ack.ts'
import { InstanceStore } from '../../../shared/store/instance-store.ts'
import { codeOf } from '../../support/code-of.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'

const TENANT = 'default'
const BEAT_MS = 2000
const EPOCH = '1732212000000.abcd1234'

function puller(instance: string, more = {}) {
  return { service: 'api', instance, maxStalenessMs: 60_000, key: 'one', ...more }
}

function ack(instance: string, more: Partial<Ack> = {}): Ack {
  return {
    v: 1,
    tenant: TENANT,
    service: 'api',
    instance,
    at: 1000,
    state: 'ready',
    applied: { revocations: [7, 8, 9, 10].map((seq) => ({ epoch: EPOCH, seq })) },
    staleMs: 5,
    maxStalenessMs: 60_000,
    ...more,
  }
}

describe('the store’s instances', () => {
  let test: TestStore
  let instances: InstanceStore

  beforeEach(() => {
    test = openTestStore()
    instances = new InstanceStore(test.store, BEAT_MS)
  })
  afterEach(() => test.close())

  const byUser = (user: string) => () => ({ user })

  async function names(): Promise<string[]> {
    const { instances: live } = await instances.live(TENANT)
    return live.map(({ instance }) => instance).sort()
  }

  /** As if an instance had last been heard of so long ago. */
  async function silence(instance: string, ms: number): Promise<void> {
    const { at } = await test.store.touch(TENANT, 0)
    const { seen } = test.store.keys.shard(TENANT, 0)
    await test.store.redis.zadd(seen, at - ms, `api ${instance}`)
  }

  it('are live from their first pull, before they have said what they applied', async () => {
    await instances.join(TENANT, puller('a'))
    const { instances: live } = await instances.live(TENANT)
    expect(live[0]).to.include({ service: 'api', instance: 'a', state: 'joining', key: 'one' })
    expect(live[0]?.applied).to.equal(undefined)
    await instances.take(TENANT, [ack('a')], byUser('svc'))
    const [after] = (await instances.live(TENANT)).instances
    expect(after).to.include({ state: 'ready', asOf: 1000, user: 'svc', key: 'one' })
    expect(after?.applied?.[3]).to.deep.equal({ term: 1732212000000, seq: 10 })
  })

  it('leave by their silence only after their own limit and two beats, and never without a limit', async () => {
    await instances.join(TENANT, puller('finite'))
    await instances.join(TENANT, puller('endless', { maxStalenessMs: null }))
    const limit = 60_000 + 2 * BEAT_MS
    for (const each of ['finite', 'endless']) await silence(each, limit - 500)
    expect(await names()).to.deep.equal(['endless', 'finite'])
    expect(await instances.prune(TENANT)).to.equal(0)
    for (const each of ['finite', 'endless']) await silence(each, limit + 500)
    expect(await names()).to.deep.equal(['endless'])
    expect((await instances.all(TENANT)).instances).to.have.length(2)
    expect(await instances.prune(TENANT)).to.equal(1)
    expect((await instances.all(TENANT)).instances).to.have.length(1)
    expect(await instances.remove(TENANT, 'api', 'endless')).to.equal(1)
    expect(await names()).to.deep.equal([])
  })

  it('keep the longest limit they said: an ack that comes late shortens it no more', async () => {
    await instances.join(TENANT, puller('a', { maxStalenessMs: 600_000 }))
    await instances.take(TENANT, [ack('a', { maxStalenessMs: 3000 })], byUser('svc'))
    await silence('a', 590_000)
    expect(await names()).to.deep.equal(['a'])
    await instances.take(TENANT, [ack('a', { maxStalenessMs: null })], byUser('svc'))
    await instances.join(TENANT, puller('a', { maxStalenessMs: 3000 }))
    await silence('a', 7_200_000)
    expect(await names()).to.deep.equal(['a'])
  })

  it('are told apart by who spoke for them first: another key or user is refused', async () => {
    await instances.join(TENANT, puller('a'))
    expect(await codeOf(instances.join(TENANT, puller('a', { key: 'two' })))).to.equal(
      'foreign_instance',
    )
    expect(await instances.take(TENANT, [ack('a')], byUser('svc'))).to.deep.equal([])
    const forged = ack('a', { state: 'leaving' })
    expect(await instances.take(TENANT, [forged], byUser('mallory'))).to.deep.equal([forged])
    expect(await instances.take(TENANT, [forged], () => ({ key: 'two' }))).to.deep.equal([forged])
    expect(await names()).to.deep.equal(['a'])
    await instances.take(TENANT, [forged], byUser('svc'))
    expect(await names()).to.deep.equal([])
  })

  it('that a user spoke for first are proved by that user alone: a key is heard, and neither bound nor believed', async () => {
    await instances.take(TENANT, [ack('a')], byUser('svc'))
    await silence('a', 30_000)
    const known = async () => (await instances.all(TENANT)).instances[0]
    const told = (await known())?.applied
    const forged = { revocations: [8, 9, 10, 11].map((seq) => ({ epoch: EPOCH, seq })) }
    const key = () => ({ key: 'one' })
    expect(await instances.take(TENANT, [ack('a', { applied: forged })], key)).to.deep.equal([])
    const applied = forged.revocations.map(({ seq }) => ({ term: 1732212000000, seq }))
    await instances.join(TENANT, puller('a', { applied, asOf: 5000, maxStalenessMs: 90_000 }))
    // Heard of it is, so that nobody stops to wait for it.
    expect((await known())?.silentMs).to.be.below(30_000)
    expect(await known()).to.include({ user: 'svc', asOf: 1000, maxStalenessMs: 90_000 })
    expect(await known()).not.to.have.property('key')
    expect((await known())?.applied).to.deep.equal(told)
    const leaving = ack('a', { state: 'leaving' })
    expect(await instances.take(TENANT, [leaving], key)).to.deep.equal([leaving])
    // Whoever it is in truth goes on as if nothing had been said.
    expect(await instances.take(TENANT, [ack('a', { applied: forged })], byUser('svc'))).to.be.empty
    expect((await known())?.applied).to.deep.equal(applied)
    await instances.take(TENANT, [leaving], byUser('svc'))
    expect(await names()).to.deep.equal([])
  })

  it('cannot have applied what lies past a tail of its term: such a word is heard and not believed', async () => {
    const tails = await Promise.all([0, 1, 2, 3].map((shard) => test.store.touch(TENANT, shard)))
    const said = (more: number) =>
      tails.map(({ epoch, tails: { revocations } }, shard) => ({
        epoch,
        seq: revocations + (shard === 2 ? more : 0),
      }))
    const positions = (more: number) =>
      said(more).map(({ epoch, seq }) => ({ term: Number(epoch.split('.')[0]), seq }))
    const known = async () =>
      (await instances.live(TENANT)).instances.find(({ instance }) => instance === 'a')
    await instances.join(TENANT, puller('a', { applied: positions(1), asOf: 9 }))
    expect(await known()).to.include({ applied: undefined, asOf: 0 })
    const past = { applied: { revocations: said(1) } }
    expect(await instances.take(TENANT, [ack('a', past)], byUser('svc'))).to.deep.equal([])
    expect(await known()).to.deep.include({ applied: [], asOf: 0, user: 'svc' })
    const reached = { applied: { revocations: said(0) } }
    await instances.take(TENANT, [ack('a', reached), ack('b', past)], byUser('svc'))
    expect((await known())?.applied).to.deep.equal(positions(0))
    await instances.take(TENANT, [ack('a', past)], byUser('svc'))
    expect((await known())?.applied).to.deep.equal(positions(0))
    // Once the tail is there, it is.
    await test.store.redis.hincrby(test.store.keys.shard(TENANT, 2).meta, 'rev', 1)
    await instances.take(TENANT, [ack('a', past)], byUser('svc'))
    expect((await known())?.applied).to.deep.equal(positions(1))
  })

  it('are at most 1,000 of a service; another service has room', async () => {
    const crowd = Array.from({ length: 1000 }, (_, i) => ack(`i${i}`))
    expect(await instances.take(TENANT, crowd, byUser('svc'))).to.deep.equal([])
    expect(await codeOf(instances.join(TENANT, puller('one-more')))).to.equal('too_many_instances')
    const late = ack('late')
    expect(await instances.take(TENANT, [late], byUser('svc'))).to.deep.equal([late])
    await instances.join(TENANT, puller('i5'))
    // One that nobody has heard of for an hour makes room.
    await silence('i7', 3_600_500)
    await instances.join(TENANT, puller('after-all'))
    expect(await instances.take(TENANT, [late], byUser('svc'))).to.deep.equal([late])
    await instances.join(TENANT, puller('x', { service: 'api-2' }))
    expect(await names()).to.have.length(1001)
    expect(await instances.remove(TENANT, 'api')).to.equal(1000)
    expect(await names()).to.deep.equal(['x'])
  })

  it('say by a pull what they have applied, and keep what an ack said of the rest', async () => {
    await instances.join(TENANT, puller('a'))
    await instances.take(TENANT, [ack('a')], byUser('svc'))
    const applied = [1, 2, 3, 4].map((seq) => ({ term: 1732212000001, seq }))
    await instances.join(TENANT, puller('a', { applied, asOf: 77, maxStalenessMs: null }))
    const [known] = (await instances.live(TENANT)).instances
    expect(known).to.include({ user: 'svc', key: 'one', asOf: 77, maxStalenessMs: null })
    expect(known?.applied).to.deep.equal(applied)
  })

  it('are as far as they said last: what was said earlier and comes later takes nothing back', async () => {
    const term = 1732212000000
    const applied = [7, 8, 9, 11].map((seq) => ({ term, seq }))
    await instances.join(TENANT, puller('a', { applied, asOf: 2000 }))
    const known = async () => (await instances.live(TENANT)).instances[0]
    // It waited to be written together with others; the pull overtook it.
    await instances.take(TENANT, [ack('a')], byUser('svc'))
    expect(await known()).to.include({ asOf: 2000, user: 'svc' })
    expect((await known())?.applied).to.deep.equal(applied)
    await instances.take(TENANT, [ack('a', { applied: { revocations: [] } })], byUser('svc'))
    expect((await known())?.applied).to.deep.equal(applied)
    const same = { revocations: applied.map(({ seq }) => ({ epoch: EPOCH, seq })) }
    await instances.take(
      TENANT,
      [ack('a', { applied: same, at: 1999, state: 'stale' })],
      byUser('svc'),
    )
    expect(await known()).to.include({ asOf: 2000, state: 'ready' })
    await instances.take(
      TENANT,
      [ack('a', { applied: same, at: 2001, state: 'stale' })],
      byUser('svc'),
    )
    expect(await known()).to.include({ asOf: 2001, state: 'stale' })
    const later = { revocations: [1, 0, 0, 0].map((seq) => ({ epoch: '1732212000001.ab', seq })) }
    await instances.take(TENANT, [ack('a', { applied: later, at: 5 })], byUser('svc'))
    expect((await known())?.applied?.[0]).to.deep.equal({ term: term + 1, seq: 1 })
  })
})
