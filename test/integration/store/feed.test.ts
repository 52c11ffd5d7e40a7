import { expect } from 'chai'
import { ORIGIN } from '../../../shared/domain/position.ts'
import { UpkeepStore } from '../../../shared/store/upkeep-store.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'

const TENANT = 'default'
const revoke = (sub: string, ttlSeconds = 3600) => ({
  op: 'revoke' as const,
  match: { sub },
  ttlSeconds,
  skewSeconds: 0,
})

describe('the feed', () => {
  let test: TestStore
  let upkeep: UpkeepStore
  beforeEach(() => {
    test = openTestStore({ shards: 1 })
    upkeep = new UpkeepStore(test.store)
  })
  afterEach(() => test.close())

  async function commit(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await test.rules.revoke(TENANT, revoke(`u${i}`))
  }

  it('is read page by page, without holes, with the bodies as they were committed', async () => {
    await commit(7)
    const bodies: string[] = []
    let after = ORIGIN
    for (;;) {
      const page = await test.feed.read(TENANT, 'revocations', [after], 3)
      bodies.push(...page.bodies)
      const last = JSON.parse(page.bodies.at(-1) ?? '{}') as { epoch: string; seq: number }
      after = { term: Number(last.epoch.split('.')[0]), seq: last.seq }
      if (!page.more) break
    }
    expect(bodies).to.deep.equal(test.entries.map(({ body }) => body))
  })

  it('tells its tails, and no entries, to who asks for no position', async () => {
    await commit(2)
    const page = await test.feed.read(TENANT, 'revocations', [], 10)
    expect(page.bodies).to.deep.equal([])
    expect(page.tails[0]?.seq).to.equal(2)
  })

  it('notes every entry unsent until it is cleared, and lends each to one relay at a time', async () => {
    await commit(3)
    expect(await test.feed.countUnsent(TENANT, 'revocations', 0)).to.equal(3)
    expect(await test.feed.claimUnsent(TENANT, 'revocations', 0, 60_000, 10)).to.deep.equal([])
    const claimed = await test.feed.claimUnsent(TENANT, 'revocations', 0, 0, 2)
    expect(claimed).to.deep.equal(test.entries.slice(0, 2))
    await test.feed.clearUnsent(
      TENANT,
      'revocations',
      0,
      claimed.map(({ position }) => position),
    )
    expect(await test.feed.countUnsent(TENANT, 'revocations', 0)).to.equal(1)
  })

  it('is trimmed of what is old and sent, never of what is unsent, and says so to who comes too late', async () => {
    await commit(5)
    const [first, second] = test.entries
    const sent = [first, second].flatMap((entry) => (entry === undefined ? [] : [entry.position]))
    await test.feed.clearUnsent(TENANT, 'revocations', 0, sent)
    expect(await upkeep.trimFeed(TENANT, 'revocations', 0, -1000, 1000)).to.equal(2)
    const late = await test.feed.read(TENANT, 'revocations', [ORIGIN], 10)
    expect(late.trimmed).to.deep.equal([0])
    const inTime = await test.feed.read(TENANT, 'revocations', [second?.position], 10)
    expect(inTime.trimmed).to.deep.equal([])
    expect(inTime.bodies).to.have.length(3)
    expect(await upkeep.trimFeed(TENANT, 'revocations', 0, 3_600_000, 1000)).to.equal(0)
  })

  it('is bounded in entries, whatever their age', async () => {
    await commit(5)
    await test.feed.clearUnsent(
      TENANT,
      'revocations',
      0,
      test.entries.map(({ position }) => position),
    )
    expect(await upkeep.trimFeed(TENANT, 'revocations', 0, 3_600_000, 3)).to.equal(2)
  })

  it('outlives dead rules, which are pruned with their ids and nothing else', async () => {
    const now = Math.floor((await test.store.now(TENANT)) / 1000)
    await test.rules.revoke(TENANT, { ...revoke('dead', 1), issuedBefore: now - 100 })
    const live = await test.rules.revoke(TENANT, revoke('live'))
    expect(await upkeep.pruneRules(TENANT, 0)).to.equal(1)
    const { rules } = await test.rules.get(TENANT, 0, [{ sub: 'dead' }, { sub: 'live' }])
    expect(rules.map((rule) => rule !== undefined)).to.deep.equal([false, true])
    const { ids } = test.store.keys.shard(TENANT, 0)
    expect(await test.store.redis.hkeys(ids)).to.deep.equal(live.ids)
  })

  it('keeps reports of sweeps, newest first', async () => {
    await upkeep.saveReport(1_000_000, '{"at":1}')
    await upkeep.saveReport(1_000_001, '{"at":2}')
    expect(await upkeep.reports(5)).to.deep.equal(['{"at":2}', '{"at":1}'])
  })
})
