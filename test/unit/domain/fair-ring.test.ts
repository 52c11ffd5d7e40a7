import { expect } from 'chai'
import { FairRing } from '../../../shared/domain/fair-ring.ts'

describe('a fair ring', () => {
  function fill(ring: FairRing<string>, owner: string, from: number, count: number): void {
    for (let i = from; i < from + count; i++) ring.add(owner, `${i}`, `${owner}${i}`)
  }

  it('keeps the newest of one owner', () => {
    const ring = new FairRing<string>(3)
    fill(ring, 'a', 0, 3)
    expect(ring.add('a', '3', 'a3')).to.equal('a0')
    expect([...ring.of('a')]).to.deep.equal(['a1', 'a2', 'a3'])
    expect(ring.size).to.equal(3)
    expect([ring.get('a', '0'), ring.get('a', '3')]).to.deep.equal([undefined, 'a3'])
  })

  it('lets a flood push out none of what another owner has within its share', () => {
    const ring = new FairRing<string>(10)
    fill(ring, 'small', 0, 4)
    fill(ring, 'flood', 0, 1000)
    expect([...ring.of('small')]).to.have.length(4)
    expect([...ring.of('flood')]).to.have.length(6)
    expect(ring.size).to.equal(10)
  })

  it('gives a newcomer its share at the cost of whoever has most', () => {
    const ring = new FairRing<string>(10)
    fill(ring, 'flood', 0, 10)
    fill(ring, 'late', 0, 5)
    expect([...ring.of('late')]).to.have.length(5)
    expect([...ring.of('flood')]).to.deep.equal(['flood5', 'flood6', 'flood7', 'flood8', 'flood9'])
  })

  it('forgets what is removed, and an owner of nothing', () => {
    const ring = new FairRing<string>(10)
    fill(ring, 'a', 0, 1)
    ring.remove('a', '0')
    ring.remove('a', '0')
    ring.remove('nobody', '0')
    expect([ring.size, ...ring.of('a')]).to.deep.equal([0])
  })
})
