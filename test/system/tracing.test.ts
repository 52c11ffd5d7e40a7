import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'
import { openTracing, spansWhen, type WrittenSpan } from '../support/traced.ts'

function freshTrace(flags = '01'): { traceId: string; spanId: string; traceparent: string } {
  const traceId = randomBytes(16).toString('hex')
  const spanId = randomBytes(8).toString('hex')
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

/** The names of the spans from one up to the root of what was written. */
function wayTo(spans: readonly WrittenSpan[], leaf: WrittenSpan): string[] {
  const parent = spans.find(({ spanId }) => spanId === leaf.parent)
  return parent === undefined ? [leaf.name] : [...wayTo(spans, parent), leaf.name]
}

describe('tracing', function () {
  this.timeout(60_000)
  const tracing = openTracing('tracing-test')
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    system = createSystem()
    notifier = await system.start('notifier', tracing.env)
  })
  after(async () => {
    tracing.close()
    await system.stop()
  })

  const revoke = (sub: string, headers: Record<string, string>) =>
    call(notifier, system.apiKey, '/v1/revocations', { match: { sub } }, headers)

  it('sees one trace from the call to what the handler does, as the page of the docs says', async () => {
    const service = await tracing.service(system)
    const { traceId, spanId, traceparent } = freshTrace()
    const done = await revoke('alice', { traceparent, tracestate: 'vendor=a1' })
    expect(done.status).to.equal(201)
    const spans = await spansWhen([notifier, service], traceId, 7)
    const ns = system.namespace
    const ways = spans.map((span) => wayTo(spans, span).join(' > ')).sort()
    const published = `POST /v1/revocations > commit > publish ${ns}.revocations`
    expect(ways).to.deep.equal(
      [
        'POST /v1/revocations',
        'POST /v1/revocations > commit',
        published,
        `${published} > apply ${ns}.revocations`,
        `${published} > process ${ns}.service.orders`,
        `${published} > process ${ns}.service.orders > handle revoked`,
        `${published} > process ${ns}.service.orders > handle revoked > close sessions`,
      ].sort(),
    )
    const root = spans.find(({ name }) => name === 'POST /v1/revocations')
    expect(root?.parent).to.equal(spanId)
    await service.stop()
  })
})
