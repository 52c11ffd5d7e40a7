import { expect } from 'chai'
import { startAgent, type Agent } from '../support/agents.ts'
import { eventually } from '../support/eventually.ts'
import { createFalseClock, needFaketime, type FalseClock } from '../support/false-clock.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

/** Clocks of single processes that are wrong, or are set while these run. */
describe('a clock', function () {
  this.timeout(120_000)
  let library: string
  let system: TestSystem
  let witness: Witness
  let agent: Agent | undefined
  const clocks: FalseClock[] = []

  before(async function () {
    library = await needFaketime(this)
  })

  beforeEach(() => {
    system = createSystem()
    witness = createWitness(system)
  })

  afterEach(async () => {
    await agent?.end()
    await system.stop()
    agent = undefined
    for (const clock of clocks.splice(0)) clock.remove()
  })

  function clockAt(seconds: number): FalseClock {
    const clock = createFalseClock(library, seconds)
    clocks.push(clock)
    return clock
  }

  const jtis = Array.from({ length: 200 }, (_, i) => `t-${i}`)

  for (const minutes of [5, -5]) {
    it(`of notifier and poller ${minutes} min off changes no time that the store gives`, async () => {
      const { env } = clockAt(minutes * 60)
      const notifier = await system.start('notifier', env)
      const poller = await system.start('poller', env)
      const view = await system.subscribe()
      const before = now()
      const answer = await witness.revoke(notifier, { sub: 'alice' })
      expect(answer?.body['issuedBefore']).to.be.within(before, now())
      const exp = now() + 3
      const told: number[] = []
      view.on('expired', () => told.push(Date.now()))
      await witness.register(notifier, jtis, exp)
      await eventually(() => told.length === jtis.length, { timeoutMs: 30_000, what: 'expiries' })
      expect(Math.min(...told)).to.be.at.least(exp * 1000)
      await witness.holds(poller, [view])
    })
  }

  for (const hours of [1, -1]) {
    it(`of notifier and poller set by ${hours} h while they run makes no loop hot and misses no token`, async () => {
      const clock = clockAt(0)
      const notifier = await system.start('notifier', clock.env)
      const poller = await system.start('poller', clock.env)
      const view = await system.subscribe({ maxStaleness: 10_000 })
      const told: number[] = []
      view.on('expired', () => told.push(Date.now()))
      const exp = now() + 4
      await witness.register(notifier, jtis, exp)
      const sweeps = async (): Promise<number> => {
        const { body } = await call(poller, system.apiKey, '/v1/sweeps?limit=1000')
        return (body['sweeps'] as unknown[]).length
      }
      await eventually(async () => (await sweeps()) > 0, { what: 'a first sweep' })
      const [swept, since] = [await sweeps(), performance.now()]
      clock.jump(hours * 3600)
      await witness.revoke(notifier, { sub: 'alice' })
      await eventually(() => told.length === jtis.length, { timeoutMs: 40_000, what: 'expiries' })
      expect(Math.min(...told)).to.be.at.least(exp * 1000)
      await dies(view, { sub: 'alice' })
      await eventually(async () => (await sweeps()) > swept + 2, {
        timeoutMs: 40_000,
        what: 'sweeps to go on',
      })
      const seconds = (performance.now() - since) / 1000
      expect((await sweeps()) - swept, 'one sweep a second').to.be.below(2 * seconds + 5)
      expect(view.check({ ...oldToken(), sub: 'other' }).code).to.equal('active')
      await witness.holds(poller, [view])
    })
  }

  for (const hours of [1, -1]) {
    it(`of a service set by ${hours} h while it runs never makes its view fresher, and not stale for long`, async () => {
      const clock = clockAt(0)
      const notifier = await system.start('notifier')
      agent = await startAgent(system, { maxStaleness: 6000 }, clock.env)
      const check = async (sub: string) => (await agent?.check({ ...oldToken(), sub }))?.code
      expect(await check('good')).to.equal('active')
      clock.jump(hours * 3600)
      await witness.revoke(notifier, { sub: 'alice' })
      await eventually(async () => (await check('alice')) === 'revoked', { timeoutMs: 20_000 })
      await eventually(async () => (await check('good')) === 'active', { timeoutMs: 20_000 })
      await witness.holds(notifier)
      await notifier.stop()
      await eventually(async () => (await check('good')) === 'stale', { timeoutMs: 30_000 })
      expect(await check('alice')).to.equal('revoked')
    })
  }
})
