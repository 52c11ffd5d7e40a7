import { expect } from 'chai'
import { request } from 'node:http'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { STALLABLE, stall } from '../support/stall.ts'
import {
  call,
  caught,
  createSystem,
  dies,
  now,
  oldToken,
  type TestSystem,
} from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

/** What happens to Knell's own processes, other than their death. */
describe('a process', function () {
  this.timeout(120_000)
  let system: TestSystem
  let witness: Witness

  beforeEach(() => {
    system = createSystem({ AMQP_URL: `${process.env['AMQP_URL']}?heartbeat=2` })
    witness = createWitness(system)
  })

  afterEach(() => system.stop())

  async function entries(process: KnellProcess): Promise<number> {
    const { body } = await call(process, system.apiKey, '/v1/feed')
    return (body['tails'] as { seq: number }[]).reduce((sum, { seq }) => sum + seq, 0)
  }

  it('whose event loop is stalled for 10 s loses nothing that it had taken, and nobody else waits for it', async () => {
    const stalled = await system.start('notifier', STALLABLE)
    const poller = await system.start('poller')
    const view = await system.subscribe({ pull: [poller.url] })
    const exp = now() + 4
    await witness.register(
      stalled,
      Array.from({ length: 500 }, (_, i) => `t-${i}`),
      exp,
    )
    const heard: string[] = []
    view.on('expired', ({ jti }) => heard.push(jti))
    const calls = Array.from({ length: 50 }, (_, i) => witness.revoke(stalled, { sub: `u${i}` }))
    const over = stall(stalled, 10_000)
    const other = await system.start('notifier')
    await witness.revoke(other, { sub: 'meanwhile' })
    await dies(view, { sub: 'meanwhile' })
    await eventually(() => heard.length === 500, { timeoutMs: 20_000, what: '500 expiries' })
    await over
    await Promise.all(calls)
    await witness.revoke(stalled, { sub: 'after' })
    await eventually(
      async () => (await call(stalled, system.apiKey, '/readyz')).body['status'] === 'ok',
      { timeoutMs: 30_000, what: 'its connections to be back' },
    )
    await witness.holds(stalled, [view])
  })

  it('that is frozen, a notifier, holds no other up, and does no harm when it goes on', async () => {
    const frozen = await system.start('notifier')
    const other = await system.start('notifier')
    const poller = await system.start('poller')
    const view = await system.subscribe({ pull: [poller.url] })
    const told: string[] = []
    view.on('revoked', ({ match }) => told.push(String(match['sub'])))
    const calls = Array.from({ length: 50 }, (_, i) => witness.revoke(frozen, { sub: `u${i}` }))
    await frozen.kill('SIGSTOP')
    for (let i = 0; i < 50; i++) await witness.revoke(other, { sub: `v${i}` })
    await dies(view, { sub: 'v49' })
    const exp = now() + 2
    await witness.register(other, ['a', 'b'], exp)
    await witness.holds(poller, [view])
    await frozen.kill('SIGCONT')
    await Promise.all(calls)
    await witness.holds(poller, [view])
    expect(told.length, 'one effect each').to.equal(new Set(told).size)
  })

  it('that is frozen, the only poller, misses some ticks, and covers them with its next sweep', async () => {
    const notifier = await system.start('notifier')
    const poller = await system.start('poller')
    const sweeps = async (): Promise<number> =>
      ((await call(notifier, system.apiKey, '/v1/sweeps')).body['sweeps'] as unknown[]).length
    await eventually(async () => (await sweeps()) > 0, { what: 'a first sweep' })
    await poller.kill('SIGSTOP')
    const exp = now() + 2
    await witness.register(notifier, ['a', 'b', 'c'], exp)
    await notifier.kill()
    // Ticks of both processes are missed: those of the notifier for ever.
    await eventually(() => now() > exp + 4, { timeoutMs: 20_000, intervalMs: 200 })
    await poller.kill('SIGCONT')
    await eventually(async () => (await caught(poller, system.apiKey)).tokens === 3, {
      timeoutMs: 30_000,
      what: 'the sweep that covers what was missed',
    })
    await witness.holds(poller)
  })

  it('that is told to stop with a thousand calls under way ends in its time, and answers what it took', async () => {
    const stopping = await system.start('notifier')
    const poller = await system.start('poller')
    const view = await system.subscribe({ pull: [poller.url] })
    let answered = 0
    const calls = Array.from({ length: 1000 }, async (_, i) => {
      const answer = await witness.revoke(stopping, { sub: `u${i}` })
      answered += 1
      return answer?.status
    })
    await eventually(() => answered > 20, { intervalMs: 1 })
    const started = performance.now()
    const { code } = await stopping.stop()
    expect(code, stopping.output.slice(-20).join('\n')).to.equal(0)
    expect(performance.now() - started).to.be.below(11_000)
    const statuses = await Promise.all(calls)
    expect(statuses.filter((status) => status === 201).length).to.be.above(20)
    expect([201, 503, undefined]).to.include.members([...new Set(statuses)])
    await witness.holds(poller, [view])
  })

  it('that is asked for the same revocation 1,000 times at once makes one of it', async () => {
    const processes = [await system.start('notifier'), await system.start('notifier')]
    const view = await system.subscribe()
    const told: string[] = []
    view.on('revoked', ({ match }) => told.push(String(match['sub'])))
    const [one, two] = processes as [KnellProcess, KnellProcess]
    // With a time of its own, that is: one that is "now" is another one in the next second.
    const once = { issuedBefore: now() }
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, i) =>
        witness.revoke(i % 2 === 0 ? one : two, { sub: 'same' }, once),
      ),
    )
    const ids = new Set(answers.map((answer) => answer?.body['id']))
    expect([...new Set(answers.map((answer) => answer?.status))]).to.deep.equal([201])
    expect(ids.size, 'the same answer').to.equal(1)
    expect(await entries(one)).to.equal(1)
    await witness.holds(one, [view])
    expect(told).to.deep.equal(['same'])
  })

  it('whose callers go away in the midst of their calls keeps each of these wholly or not at all', async () => {
    const notifier = await system.start('notifier')
    const view = await system.subscribe()
    const claims = Array.from({ length: 5000 }, (_, i) => ({
      claims: { jti: `gone-${i}`, exp: now() + 600 },
    }))
    const body = JSON.stringify({ match: { sub: 'half-sent' } })
    await Promise.all([
      leave(notifier, '/v1/revocations', body.slice(0, -5), body.length),
      leave(notifier, '/v1/tokens', JSON.stringify(claims).slice(0, 100_000), 200_000),
      ...Array.from({ length: 100 }, (_, i) => {
        const whole = JSON.stringify({ match: { sub: `whole-${i}` } })
        return leave(notifier, '/v1/revocations', whole, whole.length)
      }),
    ])
    await witness.revoke(notifier, { sub: 'marker' })
    await dies(view, { sub: 'marker' })
    const isKept = async (sub: string): Promise<boolean> =>
      (await call(notifier, system.apiKey, `/v1/revocations?sub=${sub}`)).body['rule'] !== null
    expect(await isKept('half-sent')).to.equal(false)
    for (let i = 0; i < 100; i++) {
      // Whichever it was, the store and the view agree.
      const kept = await isKept(`whole-${i}`)
      const token = { ...oldToken(), sub: `whole-${i}` }
      await eventually(() => (view.check(token).code === 'revoked') === kept)
    }
    await witness.holds(notifier, [view])
  })

  /** Sends so much of a body, and goes as soon as it is sent. */
  async function leave(
    { url }: KnellProcess,
    path: string,
    part: string,
    length: number,
  ): Promise<void> {
    await new Promise<void>((resolve) => {
      const headers = {
        authorization: `Bearer ${system.apiKey}`,
        'content-type': 'application/json',
        'content-length': length,
      }
      const sent = request(url + path, { method: 'POST', agent: false, headers })
      sent.once('error', () => {})
      sent.once('close', resolve)
      sent.write(part, () => sent.destroy())
    })
  }
})
