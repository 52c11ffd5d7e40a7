import { expect } from 'chai'
import { stripVTControlCharacters } from 'node:util'
import { isFailing, NOT_OFFERED, type Status } from '../../../shared/cli/status/read-status.ts'
import { caughtBy, showStatus } from '../../../shared/cli/status/show-status.ts'

const good: Status = {
  url: 'http://127.0.0.1:7070',
  health: { status: 'ok', store: { ok: true }, broker: { ok: true, blocked: false } },
  overview: {
    enforced: { verdict: 'ok', reason: 'All 2.', slowest: { service: 'a', instance: 'b' } },
    push: { p50Ms: 50_100, p99Ms: 61_000 },
    revocationsPerSecond: null,
    expiriesPerSecond: null,
    tokensWaiting: 1,
    rules: 2,
  },
  queues: { verdict: 'degraded' },
  missing: {},
}
const show = (status: Status): string => stripVTControlCharacters(showStatus(status))

describe('the state of Knell', () => {
  it('fails where anything does, or where something is not told, but not where it is not offered', () => {
    expect(isFailing(good)).to.equal(false)
    expect(isFailing({ ...good, missing: { overview: NOT_OFFERED } })).to.equal(false)
    expect(isFailing({ ...good, missing: { overview: 'forbidden: no' } })).to.equal(true)
    expect(isFailing({ ...good, queues: { verdict: 'failing' } })).to.equal(true)
    expect(isFailing({ ...good, health: { ...good.health, status: 'failing' } })).to.equal(true)
    const { overview } = good
    const enforced = { verdict: 'failing', slowest: null }
    expect(isFailing({ ...good, overview: { ...overview!, enforced } })).to.equal(true)
  })

  it('is shown in sentences that end once, and in lengths of time that people read', () => {
    expect(show(good))
      .to.include('ok  All 2. Slowest: a b.')
      .and.include('median 50 s, 99 % 1 min 1 s')
      .and.match(/^notifier +http/)
  })

  it('is a poller’s where the process knows nothing of the whole', () => {
    expect(show({ ...good, missing: { overview: NOT_OFFERED } })).to.match(/^poller +http/)
  })

  it('tells what is missing for one reason once, and lets no reason steer the terminal', () => {
    const missing = { overview: 'no \u001b[2J', queues: 'no \u001b[2J', sweeps: 'other' }
    expect(show({ ...good, missing }))
      .to.include('overview, queues: no \\u001b[2J')
      .and.include('sweeps: other')
  })
})

describe('what a sweep caught', () => {
  it('is what the push path had missed, and neither its number nor what was tidied up', () => {
    const report = { at: 1, trigger: 'timer', durationMs: 7, run: 39, trimmedRecords: 3 }
    expect(caughtBy({ ...report, cutRecords: 2, prunedRules: 8 })).to.equal('nothing')
    expect(caughtBy({ ...report, overdueTokens: 2, lostEntries: 1 })).to.equal(
      'overdue tokens: 2, lost entries: 1',
    )
  })
})
