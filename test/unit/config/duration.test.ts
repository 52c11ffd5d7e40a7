import { expect } from 'chai'
import { parseDuration } from '../../../shared/config/duration.ts'
import { refusal } from '../tokens/keys.ts'

describe('duration', () => {
  it('is a whole number with a unit, in milliseconds', () => {
    expect(parseDuration('500ms')).to.equal(500)
    expect(parseDuration('5s')).to.equal(5000)
    expect(parseDuration('15m')).to.equal(900_000)
    expect(parseDuration('24h')).to.equal(86_400_000)
    expect(parseDuration('30d')).to.equal(2_592_000_000)
    expect(parseDuration('0s')).to.equal(0)
  })

  it('needs a unit, so that nobody has to guess one', () => {
    expect(refusal('config_invalid', () => parseDuration('15')).message).to.contain('no unit')
    expect(refusal('config_invalid', () => parseDuration('1.5')).message).to.contain('no unit')
  })

  it('refuses other units, signs, fractions, white space and long numbers', () => {
    for (const text of [
      '',
      's',
      '-5s',
      '+5s',
      '1.5h',
      '5 s',
      ' 5s',
      '5s ',
      '5S',
      '2 weeks',
      '1y',
      '1w',
      '5sec',
      '1h30m',
      '1e3s',
      'Infinitys',
      '1234567890s',
      '٥s',
    ]) {
      refusal('config_invalid', () => parseDuration(text))
    }
  })
})
