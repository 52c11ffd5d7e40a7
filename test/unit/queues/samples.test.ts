import { expect } from 'chai'
import { Gauge, Registry } from 'prom-client'
import { readSamples } from '../../../shared/queues/samples.ts'

describe('samples in Prometheus’s text format', () => {
  it('are read with and without labels, a time, and empty lines between', () => {
    const text = '# HELP a b\n# TYPE a gauge\na 1\n\nb{} 2 1732212345123\nc{x="1",y="2",} -0.5e3\n'
    expect(readSamples(text)).to.deep.equal([
      { name: 'a', labels: {}, value: 1 },
      { name: 'b', labels: {}, value: 2 },
      { name: 'c', labels: { x: '1', y: '2' }, value: -500 },
    ])
  })

  it('pass over what is none', () => {
    for (const text of ['', 'a', 'a NaN', 'a +Inf', '{x="1"} 1', '<html>', 'a{x="1" 1', '1a 1']) {
      expect(readSamples(text), text).to.deep.equal([])
    }
  })

  it('are read as prom-client writes them, whatever a label holds', async () => {
    const registry = new Registry()
    const gauge = new Gauge({ name: 'g', help: 'h', labelNames: ['q'], registers: [registry] })
    const values = ['a b', 'a"b', 'a\\b', 'a\nb', '}', '', '\\n', ',q="1"']
    for (const [i, q] of values.entries()) gauge.set({ q }, i)
    expect(readSamples(await registry.metrics())).to.deep.equal(
      values.map((q, value) => ({ name: 'g', labels: { q }, value })),
    )
  })
})
