import { shortly } from '../../api.ts'
import { count, duration, NONE, short, time } from '../../format.ts'
import { figure, figures, type Figure } from '../../parts/figure.ts'
import type { Part } from '../../parts/part.ts'
import { areCounted } from '../../queues.ts'
import type { Context } from '../../screen.ts'
import { isRefused, type Overview } from '../../types.ts'

/** The numbers that are looked at first. */
export function keyFigures({ stream }: Context): Part {
  const push = figure('Push p50')
  const pushWorst = figure('Push p99')
  const expiries = figure('Expiries per second')
  const sweeps = figure('Caught by sweeps')
  const dead = figure('Dead letters')
  const due = figure('Due in the next hour')
  let wasOverdue = false
  const ends = [
    stream.on('overview', (data) => {
      if (isRefused(data)) {
        for (const each of [push, pushWorst, expiries, sweeps]) {
          each.show(NONE, shortly(data.problem))
        }
        return
      }
      const { push: now, expiriesPerSecond, sweeps: swept } = data
      const note = now.count === 0 ? 'nothing pushed in the last minute' : 'in the last minute'
      push.show(duration(now.p50Ms), note)
      pushWorst.show(duration(now.p99Ms), note)
      expiries.show(expiriesPerSecond === null ? NONE : short(expiriesPerSecond), 'announced')
      showSweeps(sweeps, swept)
    }),
    stream.on('queues', (data) => {
      if (isRefused(data)) return dead.show(NONE, shortly(data.problem))
      const { queues, parts } = data
      const letters = queues
        .filter(({ kind }) => kind === 'dead')
        .reduce((sum, { messages }) => sum + (messages ?? 0), 0)
      if (!areCounted(data)) return dead.show(NONE, 'not known while RabbitMQ is away')
      // Whose queues there should be is the store's to say.
      if (
        letters === 0 &&
        parts.some(({ part, verdict }) => part === 'queues' && verdict === 'unknown')
      ) {
        return dead.show(NONE, 'not known while the store is away')
      }
      const note = letters > 0 ? 'handlers gave up on these' : 'handlers gave up on nothing'
      return dead.show(count(letters), note, letters > 0 ? 'bad' : 'good')
    }),
    stream.on('due', (data) => {
      if (isRefused(data)) return due.show(NONE, shortly(data.problem))
      const { minutes, overdue } = data
      const all = minutes.reduce((sum, each) => sum + each, 0)
      // A second that has only just passed is not drained yet: overdue is what was so before as well.
      const isOverdue = overdue > 0 && wasOverdue
      wasOverdue = overdue > 0
      const note = isOverdue ? `tokens; ${count(overdue)} overdue` : 'registered tokens expire'
      return due.show(count(all), note, isOverdue ? 'attention' : undefined)
    }),
  ]
  return {
    element: figures(push, pushWorst, expiries, sweeps, dead, due),
    end: () => {
      for (const end of ends) end()
    },
  }
}

/** Nothing caught is as it should be; no sweep at all is not. */
function showSweeps(shown: Figure, sweeps: Overview['sweeps']): void {
  if (sweeps === null) return shown.show(NONE, 'the store does not say')
  const { caught, lastAt } = sweeps
  if (lastAt === null) return shown.show(NONE, 'no sweep: does a poller run?', 'attention')
  const note = `in the last hour; last sweep ${time(lastAt)}`
  return shown.show(count(caught), note, caught > 0 ? 'attention' : 'good')
}
