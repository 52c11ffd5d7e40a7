import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../../shared/cli/checkout.ts'
import { judgeQueues, THRESHOLDS, type QueueFacts } from '../../../shared/queues/judge.ts'
import {
  OFFERED,
  failedOffer,
  notOffered,
  type QueueCount,
} from '../../../shared/queues/queue-count.ts'
import type { QueueKind } from '../../../shared/queues/queue-names.ts'

const WELL: QueueFacts = {
  storeProblem: undefined,
  broker: { isUp: true, isBlocked: false, problem: undefined },
  alarms: [],
  offered: { management: OFFERED, prometheus: notOffered('not configured') },
  counts: [],
  missing: [],
  unknown: [],
  services: ['orders'],
  jobs: [],
  logs: [],
  sweep: { agoMs: 5000, everyMs: 15_000 },
  backlogMax: 10_000,
}

function verdictOf(facts: Partial<QueueFacts>): [string, string] {
  const { verdict, reason } = judgeQueues({ ...WELL, ...facts })
  return [verdict, reason]
}

function queue(kind: QueueKind, messages: number, consumers = 0, service = 'orders'): QueueCount {
  const end = { service: '', retry: '.retry.1', dead: '.dead' }[kind]
  const name = `knell.service.${service}${end}`
  return { name, service, kind, messages, consumers, source: 'management' }
}

describe('the verdict on queues', () => {
  it('is ok where all is well', () => {
    expect(verdictOf({})).to.deep.equal(['ok', 'Everything that can be seen is well.'])
    const { parts } = judgeQueues(WELL)
    expect(parts.map(({ part }) => part)).to.deep.equal([
      'store',
      'rabbitmq',
      'queues',
      'bullmq',
      'relay',
      'sweep',
    ])
    for (const { verdict, reason, reasons } of parts) {
      expect(verdict).to.equal('ok')
      expect(reason).to.match(/\.$/)
      expect(reasons).to.deep.equal([])
    }
  })

  it('is the worst of its parts, with that part’s reason', () => {
    const dead = queue('dead', 3)
    const late = { agoMs: 181_000, everyMs: 15_000 }
    const judged = judgeQueues({ ...WELL, counts: [dead], sweep: late })
    expect(judged.verdict).to.equal('failing')
    expect(judged.reason).to.equal(
      'the last sweep was 181 s ago: what the push path misses is not repaired',
    )
    expect(judged.parts.find(({ part }) => part === 'queues')?.verdict).to.equal('degraded')
  })

  it('is never better than readiness: failing without the store, degraded without RabbitMQ', () => {
    expect(verdictOf({ storeProblem: 'gone' })[0]).to.equal('failing')
    const down = { isUp: false, isBlocked: false, problem: 'The connection was lost.' }
    expect(verdictOf({ broker: down })).to.deep.equal([
      'degraded',
      'RabbitMQ is not connected: The connection was lost.; services poll meanwhile',
    ])
    expect(verdictOf({ broker: { ...WELL.broker, isBlocked: true } })[0]).to.equal('degraded')
  })

  it('names each alarm', () => {
    const { parts } = judgeQueues({ ...WELL, alarms: ['memory on a', 'disk on b'] })
    expect(parts.find(({ part }) => part === 'rabbitmq')?.reasons).to.deep.equal([
      'RabbitMQ has an alarm (memory on a): it takes no messages',
      'RabbitMQ has an alarm (disk on b): it takes no messages',
    ])
  })

  it('tells of a source that fails, and says nothing of one that is not offered', () => {
    const refused = failedOffer('it refuses the login (401)')
    expect(verdictOf({ offered: { management: refused } })).to.deep.equal([
      'degraded',
      'RabbitMQ’s management cannot be read: it refuses the login (401)',
    ])
    expect(verdictOf({ offered: { management: notOffered('it answers 404') } })[0]).to.equal('ok')
  })

  for (const [messages, verdict, reason] of [
    [0, 'ok', ''],
    [1, 'degraded', '1 dead letter of orders; replay or drop it'],
    [3, 'degraded', '3 dead letters of orders; replay or drop them'],
    [1200, 'degraded', '1,200 dead letters of orders; replay or drop them'],
  ] as const) {
    it(`is ${verdict} with ${messages} dead letters`, () => {
      const found = verdictOf({ counts: [queue('dead', messages)] })
      expect(found[0]).to.equal(verdict)
      if (reason !== '') expect(found[1]).to.equal(reason)
    })
  }

  for (const [messages, consumers, reason] of [
    [0, 0, undefined],
    [1, 0, 'no consumer on knell.service.orders with 1 message'],
    [120, 0, 'no consumer on knell.service.orders with 120 messages'],
    [THRESHOLDS.backlogMessages - 1, 1, undefined],
    [
      THRESHOLDS.backlogMessages,
      1,
      '10,000 messages wait in knell.service.orders: its handlers are slower than its events',
    ],
  ] as const) {
    it(`judges a service’s queue with ${messages} messages and ${consumers} consumers`, () => {
      const found = verdictOf({ counts: [queue('service', messages, consumers)] })
      expect(found[0]).to.equal(reason === undefined ? 'ok' : 'degraded')
      if (reason !== undefined) expect(found[1]).to.equal(reason)
    })
  }

  it('says that a queue of no known service may go', () => {
    expect(verdictOf({ counts: [queue('service', 2, 0, 'old')] })[1]).to.equal(
      'no consumer on knell.service.old with 2 messages; the store knows no such service, so delete the queue',
    )
  })

  it('adds the retry steps of a service up', () => {
    const half = THRESHOLDS.retryMessages / 2
    const steps = [queue('retry', half), { ...queue('retry', half - 1), name: 'another' }]
    expect(verdictOf({ counts: steps })[0]).to.equal('ok')
    const more = [queue('retry', half), { ...queue('retry', half), name: 'another' }]
    expect(verdictOf({ counts: more })).to.deep.equal([
      'degraded',
      '1,000 events of orders wait for another try: its handlers fail',
    ])
  })

  it('misses the queue of a service, not one of its steps', () => {
    const { name } = queue('service', 0)
    const missing = [{ name, service: 'orders', kind: 'service' as const }]
    expect(verdictOf({ missing })).to.deep.equal([
      'degraded',
      'the queue knell.service.orders is gone; an instance with handlers makes it anew',
    ])
    expect(verdictOf({ missing: [queue('retry', 0)] })[0]).to.equal('ok')
  })

  it('says of what it was told nothing, but where RabbitMQ is away', () => {
    const unknown = [queue('service', 0), queue('retry', 0)]
    expect(verdictOf({ unknown })).to.deep.equal([
      'degraded',
      'RabbitMQ does not say how full knell.service.orders is',
    ])
    const blocked = judgeQueues({ ...WELL, unknown, broker: { ...WELL.broker, isBlocked: true } })
    expect(blocked.parts.find(({ part }) => part === 'queues')).to.include({
      verdict: 'unknown',
      reason: 'not known: RabbitMQ does not say how full 2 queues are',
    })
  })

  for (const [lastFailedAgoMs, verdict] of [
    [undefined, 'ok'],
    [THRESHOLDS.failedJobMs - 1, 'degraded'],
    [THRESHOLDS.failedJobMs, 'ok'],
  ] as const) {
    it(`is ${verdict} with a job that failed ${lastFailedAgoMs} ms ago`, () => {
      const jobs = [{ queue: 'knell-sweep', counts: { failed: 2 }, lastFailedAgoMs }]
      expect(verdictOf({ jobs })[0]).to.equal(verdict)
    })
  }

  for (const [waiting, verdict] of [
    [THRESHOLDS.waitingJobs - 1, 'ok'],
    [THRESHOLDS.waitingJobs, 'degraded'],
  ] as const) {
    it(`is ${verdict} with ${waiting} jobs that wait`, () => {
      const jobs = [{ queue: 'knell-expiry', counts: { waiting }, lastFailedAgoMs: undefined }]
      expect(verdictOf({ jobs })[0]).to.equal(verdict)
    })
  }

  for (const [oldestUnsentMs, verdict] of [
    [THRESHOLDS.unsentDegradedMs - 1, 'ok'],
    [THRESHOLDS.unsentDegradedMs, 'degraded'],
    [THRESHOLDS.unsentFailingMs - 1, 'degraded'],
    [THRESHOLDS.unsentFailingMs, 'failing'],
  ] as const) {
    it(`is ${verdict} where the oldest unsent entry waits for ${oldestUnsentMs} ms`, () => {
      const logs = [{ log: 'revocations' as const, unsent: 1, mostUnsent: 1, oldestUnsentMs }]
      expect(verdictOf({ logs })[0]).to.equal(verdict)
    })
  }

  it('says why entries wait', () => {
    const logs = [{ log: 'revocations' as const, unsent: 1, mostUnsent: 1, oldestUnsentMs: 75_000 }]
    const reasonWith = (facts: Partial<QueueFacts>): string | undefined =>
      judgeQueues({ ...WELL, logs, ...facts }).parts.find(({ part }) => part === 'relay')?.reason
    const begin = 'the oldest unsent entry of revocations waits for 75 s: '
    expect(reasonWith({ broker: { ...WELL.broker, isBlocked: true } })).to.equal(
      `${begin}RabbitMQ is blocked`,
    )
    expect(reasonWith({ alarms: ['memory'] })).to.equal(`${begin}RabbitMQ is blocked`)
    expect(reasonWith({ broker: { ...WELL.broker, isUp: false } })).to.equal(
      `${begin}RabbitMQ is not connected`,
    )
    expect(reasonWith({})).to.equal(`${begin}RabbitMQ confirms nothing, or no relay runs`)
  })

  it('tells when expiries wait for those before them', () => {
    const log = { log: 'expiries' as const, unsent: 30_000, oldestUnsentMs: 10 }
    expect(verdictOf({ logs: [{ ...log, mostUnsent: 10_000 }] })[0]).to.equal('ok')
    expect(verdictOf({ logs: [{ ...log, mostUnsent: 10_001 }] })).to.deep.equal([
      'degraded',
      '30,000 entries of expiries are unsent: tokens that expire now are announced when RabbitMQ has taken these',
    ])
  })

  for (const [agoMs, everyMs, verdict] of [
    [60_000, 15_000, 'ok'],
    [60_001, 15_000, 'degraded'],
    [180_000, 15_000, 'degraded'],
    [180_001, 15_000, 'failing'],
    [180_001, undefined, 'failing'],
    [1_800_000, 900_000, 'ok'],
    [1_800_001, 900_000, 'degraded'],
    [2_700_001, 900_000, 'failing'],
  ] as const) {
    it(`is ${verdict} where the last sweep was ${agoMs} ms ago and they lie ${everyMs} ms apart`, () => {
      expect(verdictOf({ sweep: { agoMs, everyMs } })[0]).to.equal(verdict)
    })
  }

  it('is degraded where no sweep is known, and does not say so where the store is away', () => {
    expect(verdictOf({ sweep: undefined })[0]).to.equal('degraded')
    const away = judgeQueues({ ...WELL, sweep: undefined, storeProblem: 'gone' })
    expect(away.parts.find(({ part }) => part === 'sweep')?.verdict).to.equal('unknown')
  })

  it('calls no part ok that nobody can see while the store is away', () => {
    const { parts } = judgeQueues({ ...WELL, storeProblem: 'gone' })
    expect(parts.map(({ part, verdict, reason }) => [part, verdict, reason])).to.deep.equal([
      ['store', 'failing', 'the store does not answer: gone'],
      ['rabbitmq', 'ok', 'RabbitMQ is connected and has no alarm that is told.'],
      ['queues', 'unknown', 'not known: the store does not answer, so which there should be'],
      ['bullmq', 'unknown', 'not known: the store does not answer'],
      ['relay', 'unknown', 'not known: the store does not answer'],
      [
        'sweep',
        'unknown',
        'not known: the store does not answer; the last sweep that is known of was 5 s ago',
      ],
    ])
  })

  it('tells of what is known to be wrong all the same', () => {
    const late = { agoMs: 181_000, everyMs: 15_000 }
    const facts = { storeProblem: 'gone', counts: [queue('dead', 3)], sweep: late }
    const { parts } = judgeQueues({ ...WELL, ...facts })
    const said = parts.map(({ part, verdict, reason }) => [part, verdict, reason])
    expect(said).to.deep.include([
      'queues',
      'degraded',
      '3 dead letters of orders; replay or drop them',
    ])
    expect(said.at(-1)?.slice(0, 2)).to.deep.equal(['sweep', 'failing'])
    expect(said.at(-1)?.[2]).to.match(/^the last sweep that is known of was 181 s ago: /)
  })

  it('does not call queues ok of which RabbitMQ, being away, told nothing', () => {
    const unknown = [{ name: 'knell.service.orders', service: 'orders', kind: 'service' as const }]
    const broker = { isUp: false, isBlocked: false, problem: undefined }
    const { verdict, parts } = judgeQueues({ ...WELL, broker, unknown })
    expect(verdict).to.equal('degraded')
    expect(parts.find(({ part }) => part === 'queues')).to.include({
      verdict: 'unknown',
      reason: 'not known: RabbitMQ does not say how full one queue is',
    })
  })

  it('has the thresholds that the docs name', () => {
    const page = readFileSync(join(checkout, 'docs/http-api.md'), 'utf8')
    const rows = page.split('\n').filter((line) => /^\| `\w+` /.test(line))
    const row = (part: string): string =>
      rows.find((line) => line.startsWith(`| \`${part}\``)) ?? ''
    const seconds = (ms: number): string => `${ms / 1000} s`
    expect(row('queues'))
      .to.include(`${THRESHOLDS.backlogMessages.toLocaleString('en')} messages`)
      .and.include(`${THRESHOLDS.retryMessages.toLocaleString('en')} in its retry steps`)
    expect(row('bullmq'))
      .to.include(`${THRESHOLDS.failedJobMs / 60_000} minutes`)
      .and.include(`${THRESHOLDS.waitingJobs} jobs`)
    expect(row('relay'))
      .to.include(seconds(THRESHOLDS.unsentDegradedMs))
      .and.include(seconds(THRESHOLDS.unsentFailingMs))
    expect(row('sweep'))
      .to.include(seconds(THRESHOLDS.sweepDegradedMs))
      .and.include(seconds(THRESHOLDS.sweepFailingMs))
  })

  it('names at most twenty reasons of a part', () => {
    const counts = Array.from({ length: 30 }, (_, i) => queue('dead', 1, 0, `s${i}`))
    expect(judgeQueues({ ...WELL, counts }).parts[2]?.reasons).to.have.length(20)
  })
})
