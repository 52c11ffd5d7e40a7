import { expect } from 'chai'
import {
  problemsOfReplay,
  type ReplayOptions,
} from '../../../shared/subscriber/handlers/options.ts'

const at = (from: unknown, more: object = {}): unknown => ({ log: 'expiries', from, ...more })

describe('the options of a replay', () => {
  for (const options of [
    at({ at: 0 }),
    at({ at: new Date() }, { until: Date.now() }),
    at({ after: ['1-2', '0-0'] }, { tenant: 'acme' }),
  ]) {
    it(`may be ${JSON.stringify(options)}`, () => {
      expect(problemsOfReplay(options as ReplayOptions)).to.deep.equal([])
    })
  }

  for (const [options, ...problems] of [
    [undefined, /^log must/, /^from must/],
    [null, /^log must/, /^from must/],
    [{ log: 'other', from: { at: 1 } }, /^log must/],
    [at(undefined), /^from must/],
    [at({}), /^from must/],
    [at({ at: 'yesterday' }), /^from must/],
    [at({ at: Number.NaN }), /^from must/],
    [at({ at: new Date('never') }), /^from must/],
    [at({ after: '0-0' }), /^from must/],
    [at({ after: [1, 2] }), /^from must/],
    [at({ at: 0 }, { until: 'now' }), /^until must/],
  ] as const) {
    it(`may not be ${JSON.stringify(options)}`, () => {
      const found = problemsOfReplay(options as ReplayOptions)
      expect(found).to.have.length(problems.length)
      for (const [i, problem] of problems.entries()) expect(found[i]).to.match(problem)
    })
  }
})
