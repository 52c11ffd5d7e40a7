import { expect } from 'chai'
import { namesOf } from '../../../shared/domain/names.ts'
import { queueOf, queuesOf } from '../../../shared/queues/queue-names.ts'

const names = namesOf('knell')

describe('the names of queues', () => {
  it('tell back the service and the kind', () => {
    const queues = queuesOf(names, 'orders')
    expect(queues).to.have.length(7)
    for (const queue of queues) expect(queueOf(names, queue.name)).to.deep.equal(queue)
  })

  for (const name of [
    'knell.service.',
    'knell.service.orders.retry.6',
    'knell.service.orders.retry.0',
    'knell.service.orders.dead.lock',
    'knell.service.Orders',
    'knell2.service.orders',
    'other.knell.service.orders',
    'amq.gen-abc',
  ]) {
    it(`leave ${name} out`, () => {
      expect(queueOf(names, name)).to.equal(undefined)
    })
  }
})
