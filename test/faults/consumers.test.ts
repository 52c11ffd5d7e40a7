import { connect as connectAmqp, type ConsumeMessage } from 'amqplib'
import { expect } from 'chai'
import type { Socket } from 'node:net'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { namesOf, serviceNamesOf } from '../../shared/domain/names.ts'
import { openAmqp } from '../support/amqp.ts'
import { startAgent } from '../support/agents.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, dies, oldToken, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

/** What happens to those who consume, and to what they are sent. */
describe('a consumer', function () {
  this.timeout(120_000)
  let system: TestSystem
  let witness: Witness
  let notifier: KnellProcess

  beforeEach(async () => {
    system = createSystem()
    witness = createWitness(system)
    notifier = await system.start('notifier')
  })

  afterEach(() => system.stop())

  it('that dies 25 times in the midst of one message is given up on; the revocation holds, and others go on', async () => {
    const handled: string[] = []
    const open = async () => {
      const service = await system.subscribe({ service: 'orders' })
      await service.handle(['revoked'], (event) => void handled.push(String(event.match['sub'])))
      return service
    }
    const first = await open()
    await witness.revoke(notifier, { sub: 'first' })
    await eventually(() => handled.includes('first'))
    await first.close()
    await witness.revoke(notifier, { sub: 'deadly' })
    const { queue, deadQueue } = serviceNamesOf(namesOf(system.namespace), 'orders')
    const amqp = await openAmqp(engineUrl('AMQP_URL'))
    try {
      await eventually(async () => (await amqp.count(queue)) === 1)
      let deaths = 0
      while (deaths < 25 && (await amqp.count(deadQueue)) === 0) {
        await dieOf(queue)
        deaths += 1
        await eventually(
          async () => (await amqp.count(queue)) + (await amqp.count(deadQueue)) === 1,
          { what: 'RabbitMQ to see the death' },
        )
      }
      expect(deaths, 'the limit of deliveries').to.be.within(20, 22)
      const view = await open()
      await dies(view, { sub: 'deadly' })
      await witness.revoke(notifier, { sub: 'next' })
      await eventually(() => handled.includes('next'))
      expect(handled).to.deep.equal(['first', 'next'])
      const { body } = await call(notifier, system.apiKey, '/v1/dead?service=orders')
      expect(body['letters'] ?? body['dead']).to.have.length(1)
      const replay = { service: 'orders', all: true }
      await call(notifier, system.apiKey, '/v1/dead/replay', replay)
      await eventually(() => handled.includes('deadly'))
      await witness.holds(notifier, [view])
    } finally {
      await amqp.close()
    }
  })

  /** Takes one message, and is gone as a killed process is, without a word. */
  async function dieOf(queue: string): Promise<void> {
    const model = await connectAmqp(engineUrl('AMQP_URL'))
    model.on('error', () => {})
    const channel = await model.createChannel()
    channel.on('error', () => {})
    await channel.prefetch(1)
    const taken = new Promise<ConsumeMessage | null>((resolve) => {
      void channel.consume(queue, resolve)
    })
    expect(await taken).not.to.equal(null)
    const { stream } = model.connection as unknown as { stream: Socket }
    const gone = new Promise((resolve) => stream.once('close', resolve))
    stream.destroy(new Error('killed'))
    await gone
  }

  it('takes no harm from a message of 20 MB, in its view or in its handlers', async () => {
    const handled: string[] = []
    const service = await system.subscribe({ service: 'orders' })
    await service.handle(['revoked'], (event) => void handled.push(String(event.match['sub'])))
    await eventually(() => service.stats.push === 'up')
    const amqp = await openAmqp(engineUrl('AMQP_URL'))
    try {
      const body = Buffer.alloc(20_000_000, '[')
      await amqp.publish(`${system.namespace}.revocations`, 'default.revoked', body)
      await witness.revoke(notifier, { sub: 'after' })
      await eventually(() => handled.includes('after'), { timeoutMs: 30_000 })
      await eventually(() => service.stats.invalid === 1)
      const { deadQueue } = serviceNamesOf(namesOf(system.namespace), 'orders')
      await eventually(async () => (await amqp.count(deadQueue)) === 1)
      await witness.holds(notifier, [service])
    } finally {
      await amqp.close()
    }
  })

  it('whose queue is full loses its oldest messages, sees the gap and pulls; nobody else notices', async () => {
    const agent = await startAgent(system, { maxStaleness: 60_000 })
    const view = await system.subscribe()
    await eventually(() => view.stats.push === 'up')
    const amqp = await openAmqp(engineUrl('AMQP_URL'))
    const junk = 'x'.repeat(4000)
    const flood = async (count: number): Promise<void> => {
      const channel = await amqp.model.createConfirmChannel()
      for (let i = 0; i < count; i++) {
        channel.publish(`${system.namespace}.revocations`, 'default.revoked', Buffer.from(junk))
      }
      await channel.waitForConfirms()
      await channel.close()
    }
    try {
      await witness.revoke(notifier, { sub: 'before' })
      agent.kill('SIGSTOP')
      // What the sockets in between hold comes first, then what fills the queue past its bound.
      await flood(4000)
      for (let i = 0; i < 10; i++) await witness.revoke(notifier, { sub: `dropped-${i}` })
      await flood(11_000)
      await dies(view, { sub: 'dropped-9' })
      agent.kill('SIGCONT')
      for (let i = 0; i < 10; i++) {
        const check = () => agent.check({ ...oldToken(), sub: `dropped-${i}` })
        await eventually(async () => (await check()).code === 'revoked', { timeoutMs: 30_000 })
      }
      expect((await agent.check({ ...oldToken(), sub: 'other' })).active).to.equal(true)
      await witness.holds(notifier, [view])
    } finally {
      agent.kill('SIGCONT')
      await agent.end()
      await amqp.close()
    }
  })
})
