import { connect, type Channel, type ChannelModel } from 'amqplib'
import { expect } from 'chai'
import { parseEntry, parseJson } from '../../shared/domain/entry.ts'
import { namesOf, serviceNamesOf } from '../../shared/domain/names.ts'
import { HandlerStore } from '../../shared/store/handler-store.ts'
import { InstanceStore } from '../../shared/store/instance-store.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl, openTestStore, type TestStore } from '../support/store.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

describe('a service that loses a message', function () {
  this.timeout(90_000)
  let system: TestSystem
  let test: TestStore
  let model: ChannelModel
  let channel: Channel
  let queue: string

  beforeEach(async () => {
    system = createSystem()
    test = openTestStore({ namespace: system.namespace })
    model = await connect(engineUrl('AMQP_URL'))
    channel = await model.createChannel()
  })
  afterEach(async () => {
    await channel.deleteQueue(queue)
    await model.close()
    test.store.close()
    await system.stop()
  })

  it('gets it again from the poller, and the report of the sweep says so', async () => {
    const names = namesOf(system.namespace)
    const notifier = await system.start('notifier')
    const handlers = new HandlerStore(test.store)
    const instance = { service: 'orders', instance: 'i-1', maxStalenessMs: null, key: 'test' }
    const instances = new InstanceStore(test.store, 2000)
    await handlers.register('default', 'orders', ['revoked'], 5)
    queue = serviceNamesOf(names, 'orders').queue
    await channel.assertQueue(queue, { durable: true })
    await channel.bindQueue(queue, names.revocations, 'default.revoked')
    await channel.bindQueue(queue, names.retry, serviceNamesOf(names, 'orders').resendKey)
    const keys: string[] = []
    await channel.consume(
      queue,
      (message) => {
        if (message === null) return
        keys.push(message.fields.routingKey)
        if (message.fields.routingKey === 'default.revoked') return
        const { log, shard, epoch, seq } = parseEntry(parseJson(message.content.toString('utf8')))
        const done = new Map([[seq, []]])
        const part = { log, shard, epoch, upTo: seq, done, retrying: new Map() }
        void handlers.report('default', 'orders', [part])
      },
      { noAck: true },
    )
    await call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'alice' } })
    await eventually(() => keys.length === 1, { what: 'the message that is lost' })
    const poller = await system.start('poller')
    await eventually(
      async () => {
        await instances.join('default', instance)
        return keys.length > 1
      },
      { timeoutMs: 60_000, intervalMs: 500, what: 'the message again' },
    )
    await eventually(
      async () => {
        const [state] = await handlers.services('default')
        return state?.marks.every(({ open }) => open === 0)
      },
      { what: 'the entry to be closed' },
    )
    expect(keys).to.deep.equal(['default.revoked', 'orders.resend'])
    const counted = await eventually(async () => {
      const { body } = await call(poller, system.apiKey, '/v1/sweeps?limit=1000')
      const sweeps = body['sweeps'] as { resentEntries: number }[]
      return sweeps.reduce((sum, { resentEntries }) => sum + resentEntries, 0)
    })
    expect(counted).to.equal(1)
  })
})
