import { expect } from 'chai'
import { nearMatch } from '../../../shared/config/near-match.ts'

describe('near match', () => {
  const names = ['REDIS_URL', 'AMQP_URL', 'SHARDS', 'HOST', 'PORT']

  it('finds the name that a mistyped one stands for, case aside', () => {
    for (const text of [
      'REDIS_UL',
      'REDIS_URI',
      'REDSI_URL',
      'redis_url',
      'REDISURL',
      'REDIS_URLS',
    ]) {
      expect(nearMatch(text, names), text).to.equal('REDIS_URL')
    }
    expect(nearMatch('AMPQ_URL', names)).to.equal('AMQP_URL')
    expect(nearMatch('SHARD', names)).to.equal('SHARDS')
  })

  it('prefers the nearest', () => {
    expect(nearMatch('issuerSkw', ['issuerSkip', 'issuerSkew'])).to.equal('issuerSkew')
  })

  it('takes no short or distant name for a mistyped one', () => {
    for (const text of [
      'HOME',
      'POST',
      'host',
      'SHELL',
      'SHRD',
      'REDIS_PORT',
      'AMQP_USER',
      'URL',
      '',
    ]) {
      expect(nearMatch(text, names), text).to.equal(undefined)
    }
  })
})
