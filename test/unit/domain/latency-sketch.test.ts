import { expect } from 'chai'
import fc from 'fast-check'
import { LatencySketch } from '../../../shared/domain/latency-sketch.ts'

describe('a latency sketch', () => {
  it('has no quantile before the first latency', () => {
    expect(new LatencySketch().quantile(0.5)).to.equal(null)
  })

  it('is never more than 5 % above the exact quantile, nor below it, however it was filled', () => {
    const latency = fc.double({ min: 0.1, max: 500_000, noNaN: true })
    fc.assert(
      fc.property(
        fc.array(latency, { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0, 0.5, 0.9, 0.99, 1),
        fc.nat(),
        (values, q, cut) => {
          const [one, two] = [new LatencySketch(), new LatencySketch()]
          for (const [i, value] of values.entries())
            (i < cut % values.length ? one : two).add(value)
          one.merge(two)
          const sorted = [...values].sort((a, b) => a - b)
          const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] ?? NaN
          expect(one.count).to.equal(values.length)
          // Three digits are told.
          expect(one.quantile(q)).to.be.within(exact * 0.994, exact * 1.056)
        },
      ),
    )
  })

  it('takes what is shorter or longer than it tells apart for the least and the most', () => {
    const sketch = new LatencySketch()
    sketch.add(0)
    expect(sketch.quantile(1)).to.equal(0.1)
    sketch.add(1e9)
    expect(sketch.quantile(1)).to.be.within(600_000, 640_000)
  })
})
