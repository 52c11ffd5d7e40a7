import { expect } from 'chai'
import { leaksOf } from '../../../shared/cli/soak/leaks.ts'
import type { Figures, Sample } from '../../../shared/cli/soak/sampler.ts'

const well: Readonly<Record<string, Figures>> = {
  'notifier-1': { descriptors: 30, resources: 25, heap: 40_000_000 },
  redis: { connections: 20, stored: 5_000_000 },
  rabbitmq: { connections: 9, channels: 20, queues: 17 },
}

function sampleOf(changes: Readonly<Record<string, Figures>> = {}): Sample {
  const rows = Object.entries(well).map(
    ([name, figures]) => [name, { pid: 1, figures: { ...figures, ...changes[name] } }] as const,
  )
  return { atMs: 0, of: new Map(rows) }
}

const nothing = { rules: 0, entries: 0 }

function leaks(changes: Readonly<Record<string, Figures>>, explained = nothing): string[] {
  return leaksOf(sampleOf(), [sampleOf(changes)], explained)
}

describe('the look for leaks', () => {
  it('finds nothing where everything is as it was', () => {
    expect(leaks({})).to.deep.equal([])
  })

  it('finds one connection, channel or queue too many in RabbitMQ, and one connection in Redis', () => {
    for (const [name, what, is] of [
      ['rabbitmq', 'connections', 10],
      ['rabbitmq', 'channels', 21],
      ['rabbitmq', 'queues', 18],
      ['redis', 'connections', 21],
    ] as const) {
      const found = leaks({ [name]: { [what]: is } })
      expect(found).to.have.length(1)
      expect(found[0]).to.include(`${name} holds ${is} ${what}`)
    }
  })

  it('allows a process some more open files, since kept-alive connections come and go, but not many', () => {
    expect(leaks({ 'notifier-1': { descriptors: 38 } })).to.deep.equal([])
    expect(leaks({ 'notifier-1': { descriptors: 39 } })).to.have.length(1)
    expect(leaks({ 'notifier-1': { resources: 34 } })).to.have.length(1)
  })

  it('finds memory that live rules do not explain, in a process and in Redis', () => {
    const grown = { 'notifier-1': { heap: 70_000_000 }, redis: { stored: 15_000_000 } }
    expect(leaks(grown)).to.have.length(2)
    expect(leaks(grown, { rules: 20_000, entries: 0 })).to.deep.equal([])
  })

  it('takes the least of the last samples, so that garbage is no leak', () => {
    const last = [sampleOf({ 'notifier-1': { heap: 90_000_000 } }), sampleOf()]
    expect(leaksOf(sampleOf(), last, nothing)).to.deep.equal([])
  })
})
