import { expect } from 'chai'
import { setTimeout as delay } from 'node:timers/promises'
import { Broker } from '../../shared/broker/broker.ts'
import { Publisher } from '../../shared/broker/publisher.ts'
import { isKnellError } from '../../shared/domain/errors.ts'
import { openAmqp, type AmqpClient } from '../support/amqp.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl, freshNamespace } from '../support/store.ts'

const REFUSED_MS = 300

describe('a publisher of which RabbitMQ takes nothing', () => {
  let amqp: AmqpClient
  let broker: Broker
  let publisher: Publisher
  let exchange: string
  /** When each connection was given up, in ms. */
  let lost: number[]

  beforeEach(async () => {
    amqp = await openAmqp(engineUrl('AMQP_URL'))
    exchange = freshNamespace()
    await amqp.use(async (channel) => {
      await channel.assertExchange(exchange, 'topic', { durable: false, autoDelete: true })
      await channel.assertQueue(exchange, {
        exclusive: true,
        durable: false,
        arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' },
      })
      await channel.bindQueue(exchange, exchange, '#')
    })
    lost = []
    broker = new Broker(engineUrl('AMQP_URL'), 'test')
    publisher = new Publisher(broker, { refusedMs: REFUSED_MS })
    broker.on('down', () => lost.push(performance.now()))
    await broker.start()
    await eventually(() => publisher.isOpen)
    // What fills the queue.
    expect(await publish()).to.equal('routed')
  })
  afterEach(async () => {
    await broker.close()
    await amqp.close()
  })

  /** What became of it: also `broker_…`. */
  async function publish(): Promise<string> {
    try {
      return await publisher.publish({ exchange, routingKey: 'a', type: 'test', body: '{}' })
    } catch (error) {
      if (isKnellError(error)) return error.code
      throw error
    }
  }

  it('begins anew when that goes on, after twice the time each time, until something is taken', async () => {
    expect(await publish()).to.equal('broker_nacked')
    const began = performance.now()
    while (lost.length < 2) {
      await publish()
      await delay(10)
    }
    const [first = 0, second = 0] = lost
    expect(first - began).to.be.above(REFUSED_MS - 20)
    expect(second - first).to.be.above(2 * REFUSED_MS - 20)
    await amqp.use((channel) => channel.purgeQueue(exchange))
    await eventually(async () => (await publish()) === 'routed')
  })

  it('keeps its connection where it is refused once, and later nothing is', async () => {
    expect(await publish()).to.equal('broker_nacked')
    await amqp.use((channel) => channel.purgeQueue(exchange))
    expect(await publish()).to.equal('routed')
    await amqp.use((channel) => channel.purgeQueue(exchange))
    await delay(2 * REFUSED_MS)
    expect(await publish()).to.equal('routed')
    expect(lost).to.deep.equal([])
  })
})
