import { expect } from 'chai'
import { isKnellError } from '../../../shared/domain/errors.ts'
import { MAX_REPORTED, parseHandled, parseHandles } from '../../../shared/domain/handled.ts'

const part = { log: 'expiries', shard: 1, epoch: '7.a', upTo: 9, done: { 8: [], 9: [0, 499] } }
const codeOf = (work: () => unknown): string => {
  try {
    work()
    return 'nothing was thrown'
  } catch (error) {
    return isKnellError(error) ? error.code : String(error)
  }
}

describe('what an ack says of handlers', () => {
  it('is read by log, shard and seq, and may be absent', () => {
    const [read] = parseHandled([{ ...part, retrying: { 7: 1500.2 }, more: 'ignored' }])
    expect(read).to.include({ log: 'expiries', shard: 1, epoch: '7.a', upTo: 9 })
    expect([...(read?.done ?? [])]).to.deep.equal([
      [8, []],
      [9, [0, 499]],
    ])
    expect([...(read?.retrying ?? [])]).to.deep.equal([[7, 1501]])
    expect(parseHandled(undefined)).to.deep.equal([])
    expect(parseHandles(undefined)).to.equal(undefined)
    expect(parseHandles({ kinds: ['revoked', 'revoked'], maxAttempts: 100 })).to.deep.equal({
      kinds: ['revoked'],
      maxAttempts: 100,
    })
  })

  it('is refused where it does not follow the contract', () => {
    const seqs = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [i + 1, []]))
    const bad: unknown[] = [
      {},
      [1],
      [{ ...part, log: 'beats' }],
      [{ ...part, shard: 1024 }],
      [{ ...part, epoch: '7' }],
      [{ ...part, upTo: -1 }],
      [{ ...part, done: [] }],
      [{ ...part, done: { 0: [] } }],
      [{ ...part, done: { '01': [] } }],
      [{ ...part, done: { '1-1': [] } }],
      [{ ...part, done: { 1: [500] } }],
      [{ ...part, done: { 1: ['0'] } }],
      [{ ...part, done: { 1: 0 } }],
      [{ ...part, retrying: { 1: -1 } }],
      [{ ...part, retrying: { 1: null } }],
      [{ ...part, done: seqs(MAX_REPORTED + 1) }],
      Array.from({ length: 257 }, () => part),
    ]
    for (const value of bad) {
      expect(
        codeOf(() => parseHandled(value)),
        JSON.stringify(value).slice(0, 80),
      ).to.equal('message_invalid')
    }
    expect(parseHandled([{ ...part, done: seqs(MAX_REPORTED) }])).to.have.length(1)
    for (const value of [
      1,
      { kinds: [], maxAttempts: 1 },
      { kinds: ['beat'], maxAttempts: 1 },
      { kinds: ['revoked'], maxAttempts: 0 },
      { kinds: ['revoked'], maxAttempts: 101 },
      { kinds: ['revoked'] },
    ]) {
      expect(
        codeOf(() => parseHandles(value)),
        JSON.stringify(value),
      ).to.equal('message_invalid')
    }
  })
})
