import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { keySpaceOf } from '../../shared/store/keys.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { openProxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type TestSystem } from '../support/system.ts'
import { openTracing, spansOf, spansWhen, type WrittenSpan } from '../support/traced.ts'

interface FreshTrace {
  readonly traceId: string
  readonly spanId: string
  readonly traceparent: string
}

function freshTrace(flags = '01'): FreshTrace {
  const traceId = randomBytes(16).toString('hex')
  const spanId = randomBytes(8).toString('hex')
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

/** The names of the spans from the root of what was written to one of them. */
function wayTo(spans: readonly WrittenSpan[], leaf: WrittenSpan): string {
  const parent = spans.find(({ spanId }) => spanId === leaf.parent)
  return parent === undefined ? leaf.name : `${wayTo(spans, parent)} > ${leaf.name}`
}

describe('tracing', function () {
  this.timeout(60_000)
  const tracing = openTracing('tracing-test')
  const program = fileURLToPath(new URL('../support/traced-service.js', import.meta.url))
  let system: TestSystem
  let notifier: KnellProcess
  let published: string

  before(async () => {
    system = createSystem({ SHARDS: '1' })
    published = `POST /v1/revocations > commit > publish ${system.namespace}.revocations`
    notifier = await system.start('notifier', tracing.env)
  })
  after(async () => {
    tracing.close()
    await system.stop()
  })

  const revoke = (sub: unknown, headers: Record<string, string> = {}) =>
    call(notifier, system.apiKey, '/v1/revocations', { match: { sub } }, headers)

  it('sees one trace from the call to what the handler does, as docs/tracing.md says', async () => {
    const service = await tracing.service(system)
    const { traceId, spanId, traceparent } = freshTrace()
    const done = await revoke('alice-of-shop', { traceparent, tracestate: 'vendor=a1' })
    expect(done.status).to.equal(201)
    const spans = await spansWhen([notifier, service], traceId, 7)
    const { namespace } = system
    expect(spans.map((span) => wayTo(spans, span))).to.have.members([
      'POST /v1/revocations',
      'POST /v1/revocations > commit',
      published,
      `${published} > apply ${namespace}.revocations`,
      `${published} > process ${namespace}.service.orders`,
      `${published} > process ${namespace}.service.orders > handle revoked`,
      `${published} > process ${namespace}.service.orders > handle revoked > close sessions`,
    ])
    const root = spans.find(({ name }) => name === 'POST /v1/revocations')
    expect(root).to.include({ parent: spanId, kind: 1 })
    expect(root?.attributes).to.deep.equal({
      'http.request.method': 'POST',
      'http.route': '/v1/revocations',
      'url.scheme': 'http',
      'http.response.status_code': 201,
    })
    const messageId = `default.revocations.0.${String(done.body['epoch']).split('.')[0]}-${String(done.body['seq'])}`
    const publish = spans.find(({ name }) => name.startsWith('publish'))
    expect(publish).to.include({ kind: 3 })
    expect(publish?.attributes).to.deep.equal({
      'messaging.system': 'rabbitmq',
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.destination.name': `${namespace}.revocations`,
      'messaging.rabbitmq.destination.routing_key': 'default.revoked',
      'messaging.message.id': messageId,
    })
    const entry = {
      'knell.tenant': 'default',
      'knell.log': 'revocations',
      'knell.shard': 0,
      'knell.kind': 'revoked',
      'knell.seq': done.body['seq'],
    }
    const apply = spans.find(({ name }) => name.startsWith('apply'))
    expect(apply).to.include({ kind: 4 })
    expect(apply?.attributes).to.include({
      ...entry,
      'messaging.message.id': messageId,
      'knell.arrival': 'next',
    })
    const handle = spans.find(({ name }) => name.startsWith('handle'))
    expect(handle?.attributes).to.deep.equal({
      ...entry,
      'knell.attempt': 1,
      'knell.outcome': 'handled',
    })
    for (const secret of ['alice-of-shop', system.apiKey]) {
      expect(JSON.stringify(spans)).to.not.include(secret)
    }
    await service.stop()
  })

  it('goes through every try of a handler, with what it failed with but not with whom it was about', async () => {
    const service = await tracing.service(system, { program, env: { FAILURES: '1' } })
    const { traceId, traceparent } = freshTrace()
    await revoke('bob-of-shop', { traceparent })
    const spans = await spansWhen([notifier, service], traceId, 8)
    const queue = `process ${system.namespace}.service.traced`
    const tries = spans.filter(({ name }) => name === 'handle revoked')
    expect(tries.map((span) => wayTo(spans, span))).to.deep.equal(
      Array(2).fill(`${published} > ${queue} > handle revoked`),
    )
    const [failed, handled] = tries
    expect(failed?.attributes).to.include({
      'knell.attempt': 1,
      'knell.outcome': 'failed',
      'error.type': 'RangeError',
    })
    expect(failed?.status.code).to.equal(2)
    expect(handled?.attributes).to.include({ 'knell.attempt': 2, 'knell.outcome': 'handled' })
    expect(handled?.status.code).to.equal(0)
    const [first, second] = spans.filter(({ name }) => name === queue)
    expect(first?.attributes).to.include({ 'knell.retried': 1, 'knell.handled': 0 })
    expect(second?.attributes).to.include({ 'knell.retried': 0, 'knell.handled': 1 })
    expect(JSON.stringify(spans)).to.not.include('bob-of-shop')
    await service.stop()
  })

  it('goes on where a dead letter is put back', async () => {
    const env = { FAILURES: '1', ATTEMPTS: '1' }
    const service = await tracing.service(system, { program, env })
    const { traceId, traceparent } = freshTrace()
    await revoke('henry', { traceparent })
    const again = { service: 'traced', all: true }
    await eventually(async () => {
      const done = await call(notifier, system.apiKey, '/v1/dead/replay', again)
      return done.body['replayed'] === 1
    })
    const line = `handles henry attempt 1 in ${traceId} flags 1`
    await eventually(() => service.output.filter((one) => one === line).length === 2)
    await service.stop()
  })

  it('records nothing of a call that is not sampled, and says so all the way', async () => {
    const service = await tracing.service(system, { program })
    const quiet = freshTrace('00')
    await revoke('carol', { traceparent: quiet.traceparent })
    await eventually(() => service.output.some((line) => line.startsWith('handles carol')))
    expect(service.output).to.include(`handles carol attempt 1 in ${quiet.traceId} flags 0`)
    const loud = freshTrace()
    await revoke('dora', { traceparent: loud.traceparent })
    await spansWhen([notifier, service], loud.traceId, 6)
    expect(spansOf([notifier, service], quiet.traceId)).to.deep.equal([])
    await service.stop()
  })

  it('begins a trace of its own where none comes or what comes is no trace, and none for a stranger', async () => {
    const { traceId, traceparent } = freshTrace()
    const before = spansOf([notifier]).length
    for (const wrong of [
      `${traceparent}, ${traceparent}`,
      '0'.repeat(8000),
      `00-${traceId}-1-01`,
    ]) {
      expect((await revoke('eve', { traceparent: wrong })).status).to.equal(201)
    }
    expect((await revoke('eve')).status).to.equal(201)
    const spans = await eventually(() => {
      const found = spansOf([notifier]).slice(before)
      expect(found.filter(({ name }) => name === 'POST /v1/revocations')).to.have.length(4)
      return found
    })
    expect(spans.map((span) => span.traceId)).to.not.include(traceId)
    expect(new Set(spans.map((span) => span.traceId)).size).to.equal(4)

    const stranger = freshTrace()
    const path = '/v1/revocations'
    const headers = { traceparent: stranger.traceparent }
    const refused = await call(notifier, 'wrong', path, { match: { sub: 'eve' } }, headers)
    expect(refused.status).to.equal(401)
    const own = freshTrace()
    const invalid = await revoke(['eve'], { traceparent: own.traceparent })
    expect(invalid.status).to.equal(400)
    const [root] = await spansWhen([notifier], own.traceId, 1)
    expect(root?.attributes).to.include({
      'http.response.status_code': 400,
      'error.type': 'invalid_match',
    })
    expect(root?.status.code, 'a refusal is no fault of the server').to.equal(0)
    expect(spansOf([notifier], stranger.traceId)).to.deep.equal([])
  })

  it('links calls that one commit joined, and keeps beside the entry what it publishes', async () => {
    const traces = Array.from({ length: 60 }, (_, i) => freshTrace(i % 2 === 0 ? '00' : '01'))
    const answers = await Promise.all(
      traces.map(({ traceparent }, i) => revoke(`joined-${i}`, { traceparent })),
    )
    const ids = new Set(traces.map(({ traceId }) => traceId))
    const spans = await eventually(() => {
      const found = spansOf([notifier]).filter(({ traceId }) => ids.has(traceId))
      expect(found.filter(({ name }) => name === 'POST /v1/revocations')).to.have.length(30)
      const commits = found.filter(({ name }) => name === 'commit')
      const publishes = found.filter(({ name }) => name.startsWith('publish'))
      // Every recorded commit has its entry's publish as a child, or is linked with it.
      for (const { spanId } of commits) {
        const near = publishes.some(
          ({ parent, linked }) => parent === spanId || linked.includes(spanId),
        )
        expect(near, spanId).to.equal(true)
      }
      return found
    })
    const commits = spans.filter(({ name }) => name === 'commit')
    const joined = commits.filter(({ linked }) => linked.length > 0)
    expect(joined, 'some calls joined').to.not.deep.equal([])
    const leaders = new Set(spans.map(({ parent }) => parent))
    for (const { linked } of joined) expect(leaders.has(linked[0])).to.equal(true)

    const redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    try {
      const { feed } = keySpaceOf(system.namespace).shard('default', 0)
      const kept = await redis.xrange(feed.revocations, '-', '+')
      const seqs = new Set(answers.map(({ body }) => Number(body['seq'])))
      const own = kept.filter(([id]) => seqs.has(Number(id.split('-')[1])))
      expect(own.length).to.equal(seqs.size)
      for (const [id, [, body = '', field, trace = '']] of own) {
        expect(field).to.equal('t')
        expect(body).to.not.include(trace)
        const publish = spans.find(
          ({ attributes }) => attributes['messaging.message.id'] === `default.revocations.0.${id}`,
        )
        const [, traceId, parent, flags] = trace.split('-')
        // Where any of its calls is recorded, the entry's trace is.
        const callers = answers.flatMap(({ body: answer }, i) =>
          Number(answer['seq']) === Number(id.split('-')[1]) ? [i] : [],
        )
        const isRecorded = callers.some((i) => i % 2 === 1)
        expect(flags).to.equal(isRecorded ? '01' : '00')
        expect(publish?.parent).to.equal(isRecorded ? parent : undefined)
        if (isRecorded) expect(publish?.traceId).to.equal(traceId)
      }
    } finally {
      redis.disconnect()
    }
  })

  it('gives an expiry a trace of its own', async () => {
    const service = await tracing.service(system, { program })
    const token = { claims: { jti: 'token-of-frank', sub: 'frank', exp: now() + 2 } }
    const { traceId, traceparent } = freshTrace()
    await call(notifier, system.apiKey, '/v1/tokens', token, { traceparent })
    const { namespace } = system
    const queue = `process ${namespace}.service.traced`
    const spans = await eventually(() => {
      const handle = spansOf([service]).find(({ name }) => name === 'handle expired')
      const found = spansOf([notifier, service], handle?.traceId ?? 'none')
      expect(found.map((span) => wayTo(found, span))).to.include(
        `publish ${namespace}.expiries > ${queue} > handle expired`,
      )
      return found
    })
    expect(spans[0]?.traceId).to.not.equal(traceId)
    expect(JSON.stringify(spans)).to.not.match(/frank/)
    await service.stop()
  })

  it('goes on where the notifier died between the commit and the publish, and the sweep finishes', async () => {
    const broker = new URL(String(system.env['AMQP_URL']))
    const target = { host: broker.hostname, port: Number(broker.port) }
    const proxy = await openProxy({ target })
    try {
      const poller = await system.start('poller', tracing.env)
      const dying = await system.start('notifier', {
        ...tracing.env,
        AMQP_URL: proxy.url(broker.href),
      })
      const service = await tracing.service(system, { program })
      // The relay of the other notifier would finish it within a second.
      await notifier.stop()
      proxy.stall()
      const { traceId, traceparent } = freshTrace()
      const path = '/v1/revocations'
      const body = { match: { sub: 'grace' } }
      const done = await call(dying, system.apiKey, path, body, { traceparent })
      expect(done.status).to.equal(201)
      await spansWhen([dying], traceId, 2)
      await dying.kill('SIGKILL')
      const line = `handles grace attempt 1 in ${traceId} flags 1`
      await eventually(() => service.output.includes(line), {
        what: 'the sweep',
        timeoutMs: 20_000,
      })
      const spans = await eventually(() => {
        const found = spansOf([dying, poller, service], traceId)
        expect(found.map((span) => wayTo(found, span))).to.include(published)
        return found
      })
      const commit = spans.find(({ name }) => name === 'commit')
      const [publish] = spansOf([poller], traceId)
      expect(publish).to.include({
        name: `publish ${system.namespace}.revocations`,
        parent: commit?.spanId,
      })
    } finally {
      await proxy.close()
    }
  })
})
