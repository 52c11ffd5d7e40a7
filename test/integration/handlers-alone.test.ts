import { expect } from 'chai'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCodes, type KnellError } from '../../shared/domain/errors.ts'
import { namesOf, serviceNamesOf } from '../../shared/domain/names.ts'
import type { Rule } from '../../shared/domain/rule.ts'
import type { HandledItem, Handles } from '../../shared/subscriber/handlers/handled-reporter.ts'
import { Handlers, type HandlersOptions } from '../../shared/subscriber/handlers/handlers.ts'
import type { HandlerContext } from '../../shared/subscriber/index.ts'
import { openAmqp, type AmqpClient } from '../support/amqp.ts'
import { entryOf } from '../support/entry-of.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl, freshNamespace } from '../support/store.ts'

interface Reported {
  readonly tenant: string
  readonly items: readonly HandledItem[]
  readonly handles: Handles | undefined
}

/** Handlers on a real broker, without notifier and poller: the test sends the entries. */
describe('the handlers of one instance', function () {
  this.timeout(60_000)
  let namespace: string
  let amqp: AmqpClient
  let opened: Handlers[]

  beforeEach(async () => {
    namespace = freshNamespace()
    opened = []
    amqp = await openAmqp(engineUrl('AMQP_URL'))
  })
  afterEach(async () => {
    await Promise.all(opened.map((handlers) => handlers.close()))
    const { queue, deadQueue, retryQueue } = own()
    await amqp.use(async (channel) => {
      for (const name of [queue, deadQueue, ...[1, 2, 3, 4, 5].map(retryQueue)]) {
        await channel.deleteQueue(name)
      }
    })
    await amqp.close()
  })

  const own = () => serviceNamesOf(namesOf(namespace), 'orders')

  function open(more: Partial<HandlersOptions> = {}): {
    handlers: Handlers
    problems: KnellError[]
    reports: Reported[]
  } {
    const problems: KnellError[] = []
    const reports: Reported[] = []
    const handlers = new Handlers({
      amqp: engineUrl('AMQP_URL'),
      service: 'orders',
      names: namesOf(namespace),
      tenants: ['default'],
      report: async (tenant, items, handles) => {
        await Promise.resolve()
        reports.push({ tenant, items, handles })
        return 'taken'
      },
      onProblem: (problem) => problems.push(problem),
      ...more,
    })
    opened.push(handlers)
    return { handlers, problems, reports }
  }

  const send = (body: string, key = 'default.revoked', exchange = 'revocations'): Promise<void> =>
    amqp.publish(`${namespace}.${exchange}`, key, body, { 'knell-signature': 'as-it-was' })

  const subOf = (event: unknown): string => String((event as Rule).match['sub'])
  const isEmpty = (queue: string): Promise<unknown> =>
    eventually(async () => (await amqp.count(queue)) === 0, { what: `${queue} to be empty` })

  it('refuse unusable options, a kind twice, and everything once they are closed', async () => {
    const { handlers } = open()
    const fn = (): void => {}
    const tried: Promise<unknown>[] = [
      handlers.handle([], fn),
      handlers.handle(['nonsense' as 'revoked'], fn),
      handlers.handle(['revoked', 'revoked'], fn),
      handlers.handle(['revoked'], 'fn' as unknown as typeof fn),
      handlers.handle(['revoked'], fn, { prefetch: 0 }),
      handlers.handle(['revoked'], fn, { concurrency: 1.5 }),
      handlers.handle(['revoked'], fn, { timeoutMs: Infinity }),
      handlers.handle(['revoked'], fn, { maxAttempts: 101 }),
      handlers.handle(['revoked'], fn, { retries: 3 } as object),
    ]
    for (const one of await Promise.allSettled(tried)) {
      expect(one.status === 'rejected' && one.reason).to.be.instanceOf(TypeError)
    }
    await Promise.all([handlers.handle(['revoked'], fn), handlers.handle(['held'], fn)])
    const again = await handlers.handle(['expired', 'held'], fn).catch((error: unknown) => error)
    expect(again).to.be.instanceOf(TypeError)
    await handlers.close()
    await handlers.close()
    const late = await handlers.handle(['expired'], fn).catch((error: unknown) => error)
    expect((late as KnellError).code).to.equal('shutting_down')
  })

  it('report what they are for, what is handled and what is tried again', async () => {
    const { handlers, reports } = open()
    await handlers.handle(['revoked'], (event) => {
      if (subOf(event) === 'bad') throw new Error('no')
    })
    expect(reports[0]).to.deep.equal({
      tenant: 'default',
      items: [],
      handles: { kinds: ['revoked'], maxAttempts: 5 },
    })
    await send(entryOf(1, ['a', 'b']))
    await send(entryOf(2, ['a', 'bad', 'c']))
    await send(entryOf(3, ['x', 'y'], { indexes: [7, 4] }))
    const done = new Map<string, string>()
    const retrying: number[] = []
    await eventually(() => {
      for (const { items } of reports.splice(0)) {
        for (const item of items) {
          expect(item).to.include({
            log: 'revocations',
            shard: 1,
            epoch: '1700000000000.abc',
            upTo: 0,
          })
          for (const [seq, indexes] of Object.entries(item.done)) done.set(seq, indexes.join())
          retrying.push(...Object.values(item.retrying ?? {}))
        }
      }
      return done.size === 3 && retrying.length > 0
    })
    expect([...done].sort(([a], [b]) => Number(a) - Number(b))).to.deep.equal([
      ['1', ''],
      ['2', '0,2'],
      ['3', '4,7'],
    ])
    expect(retrying[0]).to.be.within(0, 1000)
  })

  it('keep what could not be reported, and register only once the store knows', async () => {
    let isAway = true
    const taken: Reported[] = []
    const { handlers, problems } = open({
      report: async (tenant, items, handles) => {
        await Promise.resolve()
        if (isAway) throw new Error('away')
        taken.push({ tenant, items, handles })
        return 'taken'
      },
    })
    let joined = false
    const handling = handlers.handle(['revoked'], () => {}).then(() => (joined = true))
    await eventually(() => problems.length > 0)
    await eventually(
      async () =>
        (await amqp.use((c) => c.checkQueue(own().queue)).catch(() => ({ consumerCount: 0 })))
          .consumerCount === 1,
    )
    await send(entryOf(1, ['a']))
    await isEmpty(own().queue)
    expect(joined).to.equal(false)
    isAway = false
    await handling
    await eventually(() => taken.some(({ items }) => items[0]?.done['1']?.length === 0))
    expect(taken[0]?.handles?.kinds).to.deep.equal(['revoked'])
  })

  it('hand on the body and its signature byte for byte, and the original key, however often it is tried', async () => {
    const { handlers } = open({
      checkBody: (body, signature) => {
        if (signature !== 'as-it-was' || !body.startsWith('{  "v":1')) throw new Error('altered')
      },
    })
    const keys: string[] = []
    await handlers.handle(
      ['revoked'],
      (_, { key, attempt }) => {
        keys.push(`${key} ${attempt}`)
        if (attempt === 1) throw new Error('once')
      },
      { maxAttempts: 2 },
    )
    await send(entryOf(1, ['ü€😀']).replace('{"v":1', '{  "v":1'))
    await eventually(() => keys.length === 2)
    const key = 'default.revocations.1.1700000000000-1.0'
    expect(keys).to.deep.equal([`${key} 1`, `${key} 2`])
    await isEmpty(own().queue)
    expect(await amqp.count(own().deadQueue)).to.equal(0)
    await send(entryOf(2, ['x']))
    await eventually(async () => (await amqp.count(own().deadQueue)) === 1)
  })

  it('run an event that comes again while it runs, or after it was handled here, only once', async () => {
    const { handlers } = open()
    let runs = 0
    let go = (): void => {}
    const gate = new Promise<void>((resolve) => {
      go = resolve
    })
    await handlers.handle(['revoked'], async (event) => {
      if (subOf(event) !== 'slow') return
      runs += 1
      await gate
    })
    await send(entryOf(1, ['slow', 'fast']))
    await eventually(() => runs === 1)
    await send(entryOf(1, ['slow'], { indexes: [0] }), 'orders.resend', 'retry')
    await send(entryOf(2, ['marker']))
    await eventually(async () => (await amqp.count(own().queue)) === 0)
    go()
    await handlers.close()
    await isEmpty(own().queue)
    expect(runs).to.equal(1)
  })

  it('go on when their queue is deleted', async () => {
    const { handlers } = open()
    const got: string[] = []
    await handlers.handle(['revoked'], (event) => void got.push(subOf(event)))
    for (let round = 1; round <= 3; round++) {
      await amqp.use((channel) => channel.deleteQueue(own().queue))
      await eventually(async () => {
        const sent = await amqp.use((c) => c.checkQueue(own().queue)).catch(() => undefined)
        return sent?.consumerCount === 1
      })
      await send(entryOf(round, [`u${round}`]))
      await eventually(() => got.includes(`u${round}`))
    }
  })

  it('get a binding back that somebody removed', async () => {
    const { handlers } = open({ reassertMs: 100 })
    const got: string[] = []
    await handlers.handle(['revoked'], (event) => void got.push(subOf(event)))
    await amqp.use((channel) =>
      channel.unbindQueue(own().queue, `${namespace}.revocations`, 'default.revoked'),
    )
    let seq = 0
    await eventually(
      async () => {
        seq += 1
        await send(entryOf(seq, [`u${seq}`]))
        return got.includes(`u${seq}`)
      },
      { intervalMs: 50 },
    )
  })

  it('lose nothing where a retry cannot be put anywhere, and put it there once it can', async () => {
    const { handlers, problems } = open()
    let attempts = 0
    await handlers.handle(['revoked'], () => {
      attempts += 1
      if (attempts === 1) throw new Error('once')
    })
    // Neither queue nor binding, and one of the same name that cannot be declared as it should be.
    const { retryQueue, retryKey, queue } = own()
    await amqp.use(async (channel) => {
      await channel.deleteQueue(retryQueue(1))
      await channel.assertQueue(retryQueue(1), { durable: true })
    })
    await send(entryOf(1, ['a']))
    await eventually(() => problems.filter(({ code }) => code === 'broker_topology').length >= 3)
    expect(attempts).to.equal(1)
    // Held, not spinning: it is neither acked nor back in the queue.
    expect(await amqp.count(queue)).to.equal(0)
    await amqp.use((channel) => channel.deleteQueue(retryQueue(1)))
    await eventually(() => attempts === 2, { timeoutMs: 20_000 })
    await isEmpty(retryQueue(1))
    expect(retryKey(1)).to.equal('orders.1')
  })

  it('put back what was not done when they are closed, and end what runs', async () => {
    const { handlers } = open({ closeMs: 200 })
    const got: [string, HandlerContext][] = []
    await handlers.handle(
      ['revoked'],
      async (event, context) => {
        got.push([subOf(event), context])
        if (subOf(event) === 'quick') return
        if (subOf(event) === 'ends') {
          await delay(50)
          return
        }
        await new Promise<void>((_, reject) => {
          context.signal.addEventListener('abort', () => reject(new Error('stopped')))
        })
      },
      { concurrency: 2, prefetch: 2 },
    )
    await send(entryOf(1, ['quick', 'ends', 'hangs', 'hangs2', 'never']))
    await send(entryOf(2, ['later']))
    await send(entryOf(3, ['latest']))
    await eventually(() => got.length === 4)
    await handlers.close()
    expect(got.map(([sub]) => sub)).to.deep.equal(['quick', 'ends', 'hangs', 'hangs2'])
    expect(got[3]?.[1].signal.aborted).to.equal(true)
    await eventually(async () => (await amqp.count(own().queue)) === 3)
    const next = open()
    const rest: string[] = []
    await next.handlers.handle(['revoked'], (event, { attempt }) => {
      rest.push(`${subOf(event)} ${attempt}`)
    })
    await eventually(() => rest.length === 5)
    expect(rest.sort()).to.deep.equal(['hangs 1', 'hangs2 1', 'later 1', 'latest 1', 'never 1'])
  })

  it('stop taking events when their handler is stopped, and go on with a new one', async () => {
    const { handlers } = open()
    const got: string[] = []
    const one = await handlers.handle(['revoked'], (event) => void got.push(`1 ${subOf(event)}`))
    await send(entryOf(1, ['a']))
    await eventually(() => got.length === 1)
    await one.stop()
    await one.stop()
    await send(entryOf(2, ['b']))
    await eventually(async () => (await amqp.count(own().queue)) === 1)
    await handlers.handle(['revoked'], (event) => void got.push(`2 ${subOf(event)}`), {
      prefetch: 3,
    })
    await eventually(() => got.length === 2)
    expect(got).to.deep.equal(['1 a', '2 b'])
  })

  it('keep their tenants apart: the bytes of one that is not followed are poison', async () => {
    const { handlers } = open({ tenants: ['a', 'b'] })
    const got: string[] = []
    await handlers.handle(['revoked'], (event, { source, key }) => {
      got.push(`${source.tenant} ${subOf(event)} ${key.split('.')[0]}`)
    })
    for (const tenant of ['a', 'b', 'c']) {
      await send(entryOf(1, [`of-${tenant}`], { tenant }), `${tenant}.revoked`)
    }
    await eventually(() => got.length === 2)
    expect(got.sort()).to.deep.equal(['a of-a a', 'b of-b b'])
    await send(entryOf(1, ['of-c'], { tenant: 'c' }), 'a.revoked')
    await eventually(async () => (await amqp.count(own().deadQueue)) === 1)
  })

  it('say in plain words where the queue has other arguments', async () => {
    await amqp.use(async (channel) => {
      await channel.assertQueue(own().queue, { durable: true })
    })
    const { handlers } = open()
    const error = await handlers.handle(['revoked'], () => {}).catch((failed: unknown) => failed)
    expect((error as KnellError).code).to.equal('broker_topology')
    expect((error as KnellError).message).to.match(/inequivalent arg 'x-.*service\.orders/)
    expect(errorCodes.broker_topology.retryable).to.equal(false)
  })
})
