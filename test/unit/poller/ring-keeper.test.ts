import { expect } from 'chai'
import { isRotationDue } from '../../../poller/ring-keeper.ts'

const at = (text: string): number => Date.parse(text) / 1000

describe('The rotation of signing keys', () => {
  const monthly = '0 4 1 * *'
  const activeAt = at('2026-01-15T12:00:00Z')

  it('is due from the first firing after the key began to sign', () => {
    const firing = at('2026-02-01T04:00:00Z')
    expect(isRotationDue(monthly, activeAt, firing - 1)).to.equal(false)
    expect(isRotationDue(monthly, activeAt, firing)).to.equal(true)
    expect(isRotationDue(monthly, activeAt, firing + 86_400)).to.equal(true)
    expect(isRotationDue(monthly, firing, firing + 1)).to.equal(false)
  })

  it('counts in UTC, and takes seconds where there are six fields', () => {
    expect(isRotationDue('30 0 4 1 * *', activeAt, at('2026-02-01T04:00:29Z'))).to.equal(false)
    expect(isRotationDue('30 0 4 1 * *', activeAt, at('2026-02-01T04:00:30Z'))).to.equal(true)
  })
})
