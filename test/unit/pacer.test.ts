import { expect } from 'chai'
import { Pacer } from '../../notifier/pacer.ts'

describe('paced work', () => {
  it('lets the event loop go round, however many loops work, and gives each its share', async () => {
    const pacer = new Pacer()
    const steps = [0, 0, 0, 0, 0]
    let isDone = false
    let longest = 0
    const watch = (last: number): void => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      if (!isDone) setImmediate(() => watch(now))
    }
    watch(performance.now())
    const started = performance.now()
    await Promise.all(
      steps.map(async (_, i) => {
        while (performance.now() - started < 200) {
          await pacer.pace()
          // A step of about 0.2 ms.
          const begun = performance.now()
          while (performance.now() - begun < 0.2);
          steps[i] = (steps[i] ?? 0) + 1
        }
      }),
    )
    isDone = true
    const sorted = steps.toSorted((a, b) => a - b)
    expect(sorted[0]).to.be.greaterThan(0)
    expect(Number(sorted[0]) * 3).to.be.greaterThan(Number(sorted[4]))
    // Five loops of 200 ms would hold it for all of that without a pace.
    expect(longest).to.be.lessThan(120)
  })
})
