import { expect } from 'chai'
import type { PrivateEngine } from '../../../shared/cli/engines/private-engine.ts'
import { MAX_SESSIONS, SessionStore } from '../../../shared/store/session-store.ts'
import { eventually } from '../../support/eventually.ts'
import { startRedisCluster } from '../../support/redis-cluster.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'

const HOUR = 3_600_000
const prove = (id: string): string => `proof of ${id}`

describe('sessions of the dashboard in the store', function () {
  this.timeout(60_000)
  let redis: PrivateEngine
  let test: TestStore
  let sessions: SessionStore
  // A cluster refuses a script that touches a key which it did not declare in the same slot.
  before(async () => {
    const cluster = await startRedisCluster()
    redis = cluster.redis
    test = openTestStore({ url: cluster.nodes })
    sessions = new SessionStore(test.store)
    await eventually(async () => (await living(['A'.repeat(43)])).length === 0)
  })
  after(async () => {
    test?.store.close()
    await redis?.stop()
  })

  async function openMany(key: string, count: number, of = sessions): Promise<string[]> {
    const ids: string[] = []
    for (let i = 0; i < count; i++) ids.push((await of.open(key, prove)).id)
    return ids
  }

  async function living(ids: readonly string[]): Promise<number[]> {
    const found = await Promise.all(ids.map((id) => sessions.read(id, false)))
    return ids.flatMap((_, i) => (found[i] === undefined ? [] : [i]))
  }

  it('are what was opened, until they are ended', async () => {
    const { id, ended } = await sessions.open('one', prove)
    expect(ended).to.equal(0)
    const { idleLeftMs = 0, leftMs = 0, ...rest } = (await sessions.read(id, true)) ?? {}
    expect(rest).to.deep.equal({ key: 'one', proof: `proof of ${id}` })
    expect(idleLeftMs).to.be.within(HOUR - 30_000, HOUR)
    expect(leftMs).to.be.within(8 * HOUR - 30_000, 8 * HOUR)
    expect(await sessions.end(id)).to.equal(true)
    expect(await sessions.read(id, true)).to.equal(undefined)
    expect(await sessions.end(id)).to.equal(false)
    expect(await test.store.redis.exists(test.store.keys.sessionsOf('one'))).to.equal(0)
  })

  for (const [more, ended] of [
    [-1, 0],
    [0, 0],
    [1, 1],
  ] as const) {
    it(`are ${MAX_SESSIONS} of an API key at most: of ${MAX_SESSIONS + more} opened ${ended} ends`, async () => {
      const key = `cap${more}`
      const [other = ''] = await openMany('another', 1)
      const ids = await openMany(key, MAX_SESSIONS + more - 1)
      const last = await sessions.open(key, prove)
      expect(last.ended).to.equal(ended)
      expect(await living([last.id, other])).to.deep.equal([0, 1])
      expect(await living(ids)).to.have.length(ids.length - ended)
      expect(await test.store.redis.zcard(test.store.keys.sessionsOf(key))).to.be.at.most(
        MAX_SESSIONS,
      )
    })
  }

  it('end for a new one where nobody has used them for the longest, and reading what ended brings nothing back', async () => {
    const ids = await openMany('used', MAX_SESSIONS)
    const [first = '', second = ''] = ids
    const set = test.store.keys.sessionsOf('used')
    const later = await test.store.redis.zrange(set, '-1', '-1', 'WITHSCORES')
    // Used in a later millisecond than the last was opened in.
    await eventually(async () => {
      await sessions.read(first, true)
      const [, score] = await test.store.redis.zrange(set, '-1', '-1', 'WITHSCORES')
      return Number(score) > Number(later[1])
    })
    await sessions.read(second, false)
    // One that is over by its idle time takes nobody's place.
    await sessions.end(ids[50] ?? '')
    const brief = new SessionStore(test.store, { lifeMs: HOUR, idleMs: 1 })
    const { id: idle, ended } = await brief.open('used', prove)
    expect(ended).to.equal(0)
    await eventually(async () => (await sessions.read(idle, false)) === undefined)
    expect((await sessions.open('used', prove)).ended).to.equal(0)
    expect((await sessions.open('used', prove)).ended).to.equal(1)
    const alive = await living(ids)
    expect(alive).to.have.length(MAX_SESSIONS - 2)
    expect(alive).to.include(0)
    const gone = ids.find((_, i) => i !== 50 && !alive.includes(i)) ?? ''
    expect(await sessions.read(gone, true)).to.equal(undefined)
    expect(await living(ids)).to.deep.equal(alive)
  })

  it('leave nothing in the store: their set lasts as long as the last of them', async () => {
    const set = test.store.keys.sessionsOf('brief')
    const long = new SessionStore(test.store, { lifeMs: 60_000, idleMs: 30_000 })
    const [id = ''] = await openMany('brief', 1, long)
    const brief = new SessionStore(test.store, { lifeMs: 200, idleMs: 100 })
    await brief.open('brief', prove)
    expect(await test.store.redis.pttl(set)).to.be.within(10_000, 30_000)
    await long.read(id, true)
    expect(await test.store.redis.pttl(set)).to.be.within(10_000, 30_000)
    await long.end(id)
    await openMany('gone', 3, brief)
    await eventually(async () => {
      return (await test.store.redis.exists(test.store.keys.sessionsOf('gone'))) === 0
    })
  })

  it('are let in at once by many together, of whom as many live as may', async () => {
    const opened = await Promise.all(
      Array.from({ length: MAX_SESSIONS + 20 }, () => sessions.open('many', prove)),
    )
    expect(opened.reduce((sum, { ended }) => sum + ended, 0)).to.equal(20)
    expect(await living(opened.map(({ id }) => id))).to.have.length(MAX_SESSIONS)
  })
})
