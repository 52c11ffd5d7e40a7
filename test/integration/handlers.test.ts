import { expect } from 'chai'
import { setTimeout as delay } from 'node:timers/promises'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { namesOf, serviceNamesOf } from '../../shared/domain/names.ts'
import type { Rule } from '../../shared/domain/rule.ts'
import type {
  HandlerContext,
  HandleOptions,
  KnellError,
  Subscriber,
} from '../../shared/subscriber/index.ts'
import { openAmqp, type AmqpClient } from '../support/amqp.ts'
import { entryOf } from '../support/entry-of.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, type Answer, type TestSystem } from '../support/system.ts'

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

  interface Dead {
    readonly key: string
    readonly error: { readonly name: string; readonly message: string; readonly code?: string }
    readonly [member: string]: unknown
  }

  async function deadLetters(): Promise<Dead[]> {
    const { status, body } = await call(notifier, system.apiKey, '/v1/dead?service=test')
    expect(status).to.equal(200)
    return body['dead'] as Dead[]
  }

  const dead = (count: number): Promise<Dead[]> =>
    eventually(
      async () => {
        const found = await deadLetters()
        return found.length >= count && found
      },
      { timeoutMs: 15_000, intervalMs: 100, what: `${count} dead letters` },
    ).then((found) => found || [])

  const isEmpty = (queue = names().queue): Promise<unknown> =>
    eventually(async () => (await amqp.count(queue)) === 0, { what: `${queue} to be empty` })

  const send = (body: string | Uint8Array): Promise<void> =>
    amqp.publish(`${system.namespace}.revocations`, 'default.revoked', body)

  /** A service with a handler that notes what it gets and does as it is told. */
  async function handling(
    act: (sub: string, context: HandlerContext) => unknown,
    options: HandleOptions = {},
  ): Promise<{ got: string[]; keys: string[]; service: Subscriber; problems: KnellError[] }> {
    const service = await system.subscribe()
    const got: string[] = []
    const keys: string[] = []
    const problems: KnellError[] = []
    service.on('problem', (problem) => problems.push(problem))
    const handler = async (rule: Rule, context: HandlerContext): Promise<void> => {
      got.push(subOf(rule))
      keys.push(context.key)
      await act(subOf(rule), context)
    }
    await service.handle(['revoked'], handler, options)
    return { got, keys, service, problems }
  }

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

  it('that throw are tried again after a while, then given up with error, attempts and time, and hold nobody up', async () => {
    const times: number[] = []
    const { got } = await handling(
      (sub, { attempt }) => {
        if (sub !== 'bad') return
        times[attempt - 1] = performance.now()
        throw Object.assign(new TypeError('no such mailbox'), { code: 'ENOBOX' })
      },
      { maxAttempts: 2 },
    )
    const before = Date.now()
    await send(entryOf(1, ['good', 'bad', 'fine']))
    await eventually(() => got.length === 3, { what: 'the whole batch to be tried' })
    await isEmpty()
    await send(entryOf(2, ['next']))
    await eventually(() => got.includes('next'), { timeoutMs: 900, what: 'the next batch' })
    const [letter] = await dead(1)
    expect(got).to.deep.equal(['good', 'bad', 'fine', 'next', 'bad'])
    expect(times[1]).to.be.greaterThan((times[0] ?? 0) + 950)
    expect(letter).to.deep.include({
      v: 1,
      service: 'test',
      tenant: 'default',
      log: 'revocations',
      kind: 'revoked',
      shard: 1,
      epoch: '1700000000000.abc',
      seq: 1,
      index: 1,
      at: 1_700_000_000_000,
      key: 'default.revocations.1.1700000000000-1.1',
      error: { name: 'TypeError', message: 'no such mailbox', code: 'ENOBOX' },
      attempts: 2,
    })
    expect(letter?.['event']).to.deep.include({
      match: { sub: 'bad' },
      later: 'a member of a later version',
    })
    expect(letter?.['firstSeenAt']).to.be.within(before, Date.now())
    expect(letter?.['deadAt']).to.be.at.least(Number(letter?.['firstSeenAt']) + 950)
  })

  it('that hang are cut through their signal and count as failed', async () => {
    const reasons: unknown[] = []
    const { got } = await handling(
      (sub, { signal }) => {
        signal.addEventListener('abort', () => reasons.push(signal.reason))
        return sub === 'hangs' ? new Promise(() => {}) : undefined
      },
      { timeoutMs: 200, maxAttempts: 1, concurrency: 1 },
    )
    await send(entryOf(1, ['hangs', 'goes']))
    const [letter] = await dead(1)
    expect(letter?.error.code).to.equal('handler_timeout')
    expect(reasons.map((reason) => (reason as KnellError).code)).to.deep.equal(['handler_timeout'])
    expect(got).to.deep.equal(['hangs', 'goes'])
    await isEmpty()
  })

  it('see poison of every kind go to the dead letters at once, and handle what comes after it', async () => {
    const { got, problems } = await handling(() => {})
    const good = JSON.parse(entryOf(1, ['x'])) as Record<string, unknown>
    const retry = {
      v: 1,
      service: 'test',
      body: entryOf(1, ['x', 'y']),
      indexes: [0],
      attempt: 1,
      firstSeenAt: 1,
    }
    const poison: (string | Uint8Array)[] = [
      '',
      '{',
      'null',
      '[]',
      '"text"',
      Buffer.from([0xff, 0xfe, 0x00, 0x80]),
      `\ufeff${entryOf(1, ['x'])}`,
      '['.repeat(50_000),
      'x'.repeat(1_000_000),
      '{"__proto__":{"v":1}}',
      JSON.stringify({ ...good, v: 2 }),
      JSON.stringify({ ...good, events: [] }),
      JSON.stringify({ ...good, tenant: 'another' }),
      JSON.stringify({ ...good, kind: 'expired' }),
      JSON.stringify({ ...good, indexes: [0, 1] }),
      JSON.stringify({ ...good, indexes: [-1] }),
      JSON.stringify({ ...good, indexes: 'all' }),
      JSON.stringify({ ...good, body: 5 }),
      JSON.stringify({ ...retry, v: 2 }),
      JSON.stringify({ ...retry, service: 'other' }),
      JSON.stringify({ ...retry, indexes: [2] }),
      JSON.stringify({ ...retry, indexes: [0, 0] }),
      JSON.stringify({ ...retry, attempt: 'many' }),
      JSON.stringify({ ...retry, body: 'not JSON' }),
      JSON.stringify({ ...retry, body: JSON.stringify(retry) }),
    ]
    for (const body of poison) await send(body)
    await send(entryOf(2, ['good']))
    await eventually(() => got.includes('good'))
    const letters = await dead(poison.length)
    expect(letters).to.have.length(poison.length)
    expect(got).to.deep.equal(['good'])
    for (const letter of letters) {
      expect(letter.error.code).to.equal('message_invalid')
      expect(letter.key).to.match(/^poison\.[0-9a-f]{32}$/)
    }
    const bytes = letters.map((letter) => Number(letter['bytes']))
    expect(bytes.sort((a, b) => a - b)).to.deep.equal(
      poison.map((body) => Buffer.from(body as string).length).sort((a, b) => a - b),
    )
    expect(problems.filter(({ code }) => code === 'message_invalid')).to.have.length.at.least(
      poison.length,
    )
    await isEmpty()
    const answer = await post('/v1/dead/replay', { service: 'test', all: true })
    expect(answer.body).to.include({ replayed: 0, skipped: poison.length, more: false })
    expect(await deadLetters()).to.have.length(poison.length)
  })

  it('leave what they are not for to other instances, and give it up in the end', async () => {
    const { got } = await handling(() => {})
    const { queue, nowKey } = names()
    await amqp.use((channel) =>
      channel.bindQueue(queue, `${system.namespace}.revocations`, 'default.restored'),
    )
    const body = entryOf(1, ['x'], { kind: 'restored' })
    await amqp.publish(`${system.namespace}.revocations`, 'default.restored', body)
    await eventually(async () => (await amqp.count(names().retryQueue(1))) === 1)
    const other = await system.subscribe()
    const heard: [string, number][] = []
    await other.handle(['restored'], (rule, { attempt }) => void heard.push([subOf(rule), attempt]))
    // The one without a handler may get it again, a few times.
    await eventually(() => heard.length === 1, { timeoutMs: 40_000, what: 'the other instance' })
    expect(heard).to.deep.equal([['x', 1]])
    expect(got).to.deep.equal([])
    await other.close()
    const last = {
      v: 1,
      service: 'test',
      body,
      indexes: [0],
      attempt: 0,
      passes: 7,
      firstSeenAt: 1,
    }
    await amqp.publish(`${system.namespace}.retry`, nowKey, JSON.stringify(last))
    const [letter] = await dead(1)
    expect(letter).to.deep.include({ attempts: 0, kind: 'restored' })
    expect(letter?.error.code).to.equal('no_handler')
  })

  it('can have their dead letters put back, by key or all of them, each once', async () => {
    let fails = true
    const { got, keys } = await handling(
      () => {
        if (fails) throw new Error('not yet')
      },
      { maxAttempts: 1 },
    )
    await send(entryOf(1, ['a', 'b', 'c', 'd']))
    const letters = await dead(4)
    fails = false
    const ids = letters.filter(({ index }) => index === 1 || index === 3).map(({ key }) => key)
    const replay = async (what: object): Promise<unknown> =>
      (await post('/v1/dead/replay', { service: 'test', ...what })).body
    got.length = 0
    keys.length = 0
    expect(await replay({ ids })).to.deep.equal({
      service: 'test',
      replayed: 2,
      skipped: 0,
      more: false,
    })
    await eventually(() => got.length === 2)
    expect(got.sort()).to.deep.equal(['b', 'd'])
    expect(keys.sort()).to.deep.equal(ids.sort())
    expect(await replay({ ids })).to.include({ replayed: 0 })
    expect(await replay({ all: true, limit: 1 })).to.include({ replayed: 1, more: true })
    const results = await Promise.all([replay({ all: true }), replay({ all: true })])
    const counts = results.map((result) => (result as { replayed: number }).replayed)
    expect(counts.sort((a, b) => a - b)).to.deep.equal([0, 1])
    await eventually(() => got.length === 4)
    expect(got.sort()).to.deep.equal(['a', 'b', 'c', 'd'])
    expect(await deadLetters()).to.deep.equal([])
    await isEmpty()
  })

  it('whose dead letters are put back and fail again are put back once per call', async () => {
    const { got } = await handling(
      () => {
        throw new Error('for ever')
      },
      { maxAttempts: 1 },
    )
    const subs = Array.from({ length: 250 }, (_, i) => `u${i}`)
    await send(entryOf(1, subs))
    await eventually(async () => (await amqp.count(names().deadQueue)) === 250)
    const { body } = await post('/v1/dead/replay', { service: 'test', all: true })
    expect(body).to.include({ replayed: 250 })
    await eventually(async () => (await amqp.count(names().deadQueue)) === 250)
    expect(got).to.have.length(500)
  })

  it('have dead letters that are listed and put back for those who may see them only', async () => {
    const wrong = (): Promise<Answer> => call(notifier, system.apiKey, '/v1/dead?service=nobody')
    await eventually(async () => (await wrong()).status !== 503, { what: 'the broker' })
    const { status, body } = await wrong()
    expect([status, body['code']]).to.deep.equal([404, 'unknown_service'])
    const gone = await post('/v1/dead/replay', { service: 'nobody', all: true })
    expect(gone.body['code']).to.equal('unknown_service')
    for (const what of [
      {},
      { all: true, ids: ['x'] },
      { ids: [] },
      { all: false },
      { all: true, limit: 0 },
    ]) {
      expect((await post('/v1/dead/replay', { service: 'test', ...what })).status).to.equal(400)
    }
    const keys = [
      `test=${system.apiKey}:*`,
      'reader=reader-secret-0123:feed:read+ops:read',
      'ours=only-ours-secret-01:ops:write@default',
      'theirs=only-theirs-secret1:ops:write@other',
    ]
    const poller = await system.start('poller', { API_KEYS: keys.join(' ') })
    await handling(
      () => {
        throw new Error('no')
      },
      { maxAttempts: 1 },
    )
    await send(entryOf(1, ['a']))
    await send('poison')
    await dead(2)
    const list = (key: string) => call(poller, key, '/v1/dead?service=test')
    expect((await list('reader-secret-0123')).status).to.equal(403)
    const { dead: ours } = (await list('only-ours-secret-01')).body
    expect((ours as Dead[]).map(({ key }) => key)).to.deep.equal([
      'default.revocations.1.1700000000000-1.0',
    ])
    expect((await list('only-theirs-secret1')).body).to.deep.equal({
      service: 'test',
      dead: [],
      more: false,
    })
    const replay = (key: string) =>
      call(poller, key, '/v1/dead/replay', { service: 'test', all: true })
    expect((await replay('reader-secret-0123')).status).to.equal(403)
    expect((await replay('only-theirs-secret1')).body).to.include({ replayed: 0, skipped: 0 })
    expect((await replay('only-ours-secret-01')).body).to.include({ replayed: 1, skipped: 0 })
    const pages = await Promise.all([1, 2, 3].map(() => deadLetters()))
    for (const page of pages) expect(page.length).to.be.at.least(1)
  })

  it('find whole messages that RabbitMQ dropped among the dead letters, and can have them put back', async () => {
    const { got } = await handling(() => {})
    const headers = { 'x-death': [{ reason: 'delivery_limit' }], 'knell-signature': 'as-it-was' }
    await amqp.publish(`${system.namespace}.dead`, 'test', entryOf(1, ['a', 'b']), headers)
    const [letter] = await dead(1)
    expect(letter).to.deep.include({
      key: 'default.revocations.1.1700000000000-1',
      tenant: 'default',
      events: 2,
    })
    expect(letter?.error.message).to.include('too often')
    const { body } = await post('/v1/dead/replay', { service: 'test', ids: [letter?.key] })
    expect(body).to.include({ replayed: 1 })
    await eventually(() => got.length === 2)
    expect(got).to.deep.equal(['a', 'b'])
    expect(await deadLetters()).to.deep.equal([])
  })

  it('keep dead letters where the queue of the service is gone', async () => {
    const { service } = await handling(
      () => {
        throw new Error('no')
      },
      { maxAttempts: 1 },
    )
    await send(entryOf(1, ['a']))
    await dead(1)
    await service.close()
    await amqp.use((channel) => channel.deleteQueue(names().queue))
    const { status, body } = await post('/v1/dead/replay', { service: 'test', all: true })
    expect([status, body['code']]).to.deep.equal([503, 'broker_topology'])
    expect(await deadLetters()).to.have.length(1)
  })

  it('are run again from a time or a position, in this instance, whether they ran before or not', async () => {
    const none = await system.subscribe()
    const early = await none
      .replay({ log: 'revocations', from: { at: 0 } })
      .catch((error: unknown) => error)
    expect(early).to.be.instanceOf(TypeError)
    for (let i = 0; i < 30; i++) await revoke(`old${i}`)
    // A revocation is acknowledged before RabbitMQ has it: one still on its way would find the queue bound.
    await eventually(async () => {
      const { body } = await call(notifier, system.apiKey, '/v1/overview')
      const outbox = body['outbox'] as { revocations: { unsent: number } } | null
      return outbox?.revocations.unsent === 0
    })
    const tails = (await call(notifier, system.apiKey, '/v1/feed')).body['tails'] as {
      epoch: string
      seq: number
    }[]
    const after = tails.map(({ epoch, seq }) => `${epoch.split('.')[0]}-${seq}`)
    await delay(5)
    const middle = Date.now()
    const { got, keys, service } = await handling((sub, { attempt }) => {
      if (sub === 'new3' && attempt === 1) throw new Error('once')
    })
    for (let i = 0; i < 10; i++) await revoke(`new${i}`)
    await eventually(() => got.length === 11, { what: 'the new ones' })
    await isEmpty(names().retryQueue(1))
    const liveKeys = new Set(keys)
    const again = async (from: Parameters<Subscriber['replay']>[0]['from']): Promise<object> => {
      got.length = 0
      keys.length = 0
      return service.replay({ log: 'revocations', from })
    }
    expect(await again({ at: middle })).to.include({ handled: 9, retried: 1, dead: 0 })
    expect(new Set(keys)).to.deep.equal(liveKeys)
    await eventually(() => got.length === 11, { what: 'the failed one by its retry' })
    expect(await again({ after })).to.include({ handled: 9, retried: 1 })
    await eventually(() => got.length === 11)
    expect(await again({ at: new Date(0) })).to.include({ handled: 39 })
    await eventually(() => got.length === 41)
    const old = await service.replay({ log: 'revocations', from: { at: 0 }, until: middle })
    expect(old).to.include({ handled: 30 })
    expect(await service.replay({ log: 'expiries', from: { at: 0 } })).to.include({ entries: 0 })
    const bad = await service
      .replay({ log: 'revocations', from: { after: ['0-0'] } })
      .catch((error: unknown) => error)
    expect((bad as KnellError).code).to.equal('invalid_position')
  })

  it('are not run again where the feed no longer reaches back so far', async () => {
    await system.start('poller', { SWEEP_CRON: '* * * * * *', FEED_RETENTION: '1s' })
    const { got, service } = await handling(() => {})
    for (let i = 0; i < 20; i++) await revoke(`u${i}`)
    await eventually(() => got.length === 20)
    const trimmed = async (from: Parameters<Subscriber['replay']>[0]['from']): Promise<boolean> => {
      const failed = await service
        .replay({ log: 'revocations', from })
        .catch((error: unknown) => error)
      return (failed as KnellError).code === 'feed_trimmed'
    }
    await eventually(() => trimmed({ at: 0 }), { what: 'the feed to be trimmed' })
    await eventually(() => trimmed({ after: ['0-0', '0-0', '0-0', '0-0'] }))
  })
})
