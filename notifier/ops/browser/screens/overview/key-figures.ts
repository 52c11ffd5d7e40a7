import { count, duration, short, time } from '../../format.ts'
import { figure, figures } from '../../parts/figure.ts'
import type { Part } from '../../parts/part.ts'
import { caughtBy } from '../../sweeps.ts'
import type { Context } from '../../screen.ts'
import { isRefused } from '../../types.ts'

const HOUR_MS = 3_600_000

/** The numbers that are looked at first. */
export function keyFigures({ stream }: Context): Part {
  const push = figure('Push p50')
  const pushWorst = figure('Push p99')
  const expiries = figure('Expiries per second')
  const sweeps = figure('Caught by sweeps')
  const dead = figure('Dead letters')
  const due = figure('Due in the next hour')
  const ends = [
    stream.on('overview', (data) => {
      if (isRefused(data)) {
        for (const each of [push, pushWorst, expiries]) each.show('–', 'not offered here')
        return
      }
      const { push: now, expiriesPerSecond } = data
      push.show(duration(now.p50Ms), now.p50Ms === null ? 'nothing pushed of late' : 'now')
      pushWorst.show(duration(now.p99Ms), now.p99Ms === null ? 'nothing pushed of late' : 'now')
      expiries.show(short(expiriesPerSecond), 'announced')
    }),
    stream.on('sweeps', (data) => {
      if (isRefused(data)) return sweeps.show('–', 'not for this key')
      const { sweeps: all } = data
      const [last] = all
      if (last === undefined)
        return sweeps.show('–', 'no sweep yet: is a poller running?', 'attention')
      const since = last.at - HOUR_MS
      const caught = all
        .filter(({ at }) => at >= since)
        .reduce((sum, each) => sum + caughtBy(each), 0)
      const note = `in the last hour; last sweep ${time(last.at)}`
      return sweeps.show(count(caught), note, caught > 0 ? 'attention' : 'good')
    }),
    stream.on('queues', (data) => {
      if (isRefused(data)) return dead.show('–', 'not offered here')
      const { queues } = data
      const letters = queues
        .filter(({ kind }) => kind === 'dead')
        .reduce((sum, { messages }) => sum + (messages ?? 0), 0)
      const note = letters > 0 ? 'handlers gave up on these' : 'handlers gave up on nothing'
      return dead.show(count(letters), note, letters > 0 ? 'bad' : 'good')
    }),
    stream.on('due', (data) => {
      if (isRefused(data)) return due.show('–', 'not offered here')
      const { minutes, overdue } = data
      const all = minutes.reduce((sum, each) => sum + each, 0)
      const note = overdue > 0 ? `tokens; ${count(overdue)} overdue` : 'registered tokens expire'
      return due.show(count(all), note, overdue > 0 ? 'attention' : undefined)
    }),
  ]
  return {
    element: figures(push, pushWorst, expiries, sweeps, dead, due),
    end: () => {
      for (const end of ends) end()
    },
  }
}
