import { expect } from 'chai'
import { setTimeout as delay } from 'node:timers/promises'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { namesOf, serviceNamesOf } from '../../shared/domain/names.ts'
import type { Rule } from '../../shared/domain/rule.ts'
import type { HandlerContext, Subscriber } from '../../shared/subscriber/index.ts'
import { openAmqp, type AmqpClient } from '../support/amqp.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type Answer, type TestSystem } from '../support/system.ts'

/** No sweep: only what the test does happens. */
const QUIET = { SWEEP_CRON: '0 0 1 1 *' }

describe('durable handlers', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess
  let amqp: AmqpClient

  beforeEach(async () => {
    system = createSystem(QUIET)
    notifier = await system.start('notifier')
    amqp = await openAmqp(String(system.env['AMQP_URL']))
  })
  afterEach(async () => {
    await system.stop()
    await deleteQueues()
    await amqp.close()
  })

  const names = (service = 'test') => serviceNamesOf(namesOf(system.namespace), service)

  async function deleteQueues(): Promise<void> {
    const { queue, deadQueue, retryQueue } = names()
    await amqp.use(async (channel) => {
      for (const name of [queue, deadQueue, ...[1, 2, 3, 4, 5].map(retryQueue)]) {
        await channel.deleteQueue(name)
      }
    })
  }

  const post = (path: string, body: unknown): Promise<Answer> =>
    call(notifier, system.apiKey, path, body)
  const revoke = (sub: string): Promise<Answer> => post('/v1/revocations', { match: { sub } })
  const subOf = ({ match }: Rule): string => String(match['sub'])

  it('get each event once, in one of the instances of a service', async () => {
    const services = await Promise.all([1, 2, 3].map(() => system.subscribe()))
    const got: [number, string, HandlerContext][] = []
    for (const [i, service] of services.entries()) {
      await service.handle(
        ['revoked'],
        async (rule, context) => {
          await delay(5)
          got.push([i, subOf(rule), context])
        },
        { prefetch: 1 },
      )
    }
    const subs = Array.from({ length: 60 }, (_, i) => `u${i}`)
    for (const sub of subs) await revoke(sub)
    await eventually(() => got.length >= 60, { what: '60 events' })
    expect(got.map(([, sub]) => sub).sort()).to.deep.equal([...subs].sort())
    expect(new Set(got.map(([i]) => i)).size).to.equal(3)
    expect(new Set(got.map(([, , { key }]) => key)).size).to.equal(60)
    const [, , { attempt, key, source, signal }] = got[0] ?? expect.fail('no event')
    expect(attempt).to.equal(1)
    expect(signal.aborted).to.equal(false)
    expect(key).to.match(/^default\.revocations\.[0-3]\.\d+-\d+\.0$/)
    expect(source).to.include({ tenant: 'default', kind: 'revoked' })
    await eventually(async () => (await amqp.count(names().queue)) === 0)
  })
})
