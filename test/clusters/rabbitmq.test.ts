import { expect } from 'chai'
import { startRabbitCluster, type RabbitCluster } from '../../shared/cli/engines/rabbit-cluster.ts'
import type { PrivateRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { startLoad } from '../support/load.ts'
import { openNetwork, type Network } from '../support/network.ts'
import { createSystem, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

const PATIENCE = { timeoutMs: 120_000, intervalMs: 200 }

/** What a service does on a cluster, through a balancer that sends each connection to another node. */
interface Service {
  readonly system: TestSystem
  readonly witness: Witness
  readonly notifier: KnellProcess
  /** The subjects that its handlers were told of. */
  readonly handled: ReadonlySet<string>
  /** Waits until all that was acknowledged is in every view and was handled. */
  settled(): Promise<void>
  stop(): Promise<void>
}

async function openService(nodes: readonly PrivateRabbit[]): Promise<Service> {
  let turn = 0
  const proxy: Proxy = await openProxy({
    target() {
      turn += 1
      const { hostname, port } = new URL(nodes[turn % nodes.length]?.url ?? '')
      return { host: hostname, port: Number(port) }
    },
  })
  const amqp = `${proxy.url(nodes[0]?.url ?? '')}?heartbeat=2`
  const system = createSystem({ AMQP_URL: amqp })
  const notifier = await system.start('notifier')
  await system.start('poller')
  const witness = createWitness(system)
  const views = [await system.subscribe({ service: 'mailer' }), await system.subscribe()]
  const handled = new Set<string>()
  await views[0]?.handle(['revoked'], (event) => void handled.add(String(event.match['sub'])))
  return {
    system,
    witness,
    notifier,
    handled,
    async settled() {
      await witness.holds(notifier, views, PATIENCE.timeoutMs)
      await eventually(
        () => witness.acknowledged.every(({ match }) => handled.has(String(match['sub']))),
        { ...PATIENCE, what: 'the handlers to be told of all' },
      )
    },
    async stop() {
      await system.stop()
      await proxy.close()
    },
  }
}

/** Which of the nodes leads the queue, as one that runs tells it. */
async function leaderOf(nodes: readonly PrivateRabbit[], queue: string): Promise<PrivateRabbit> {
  const [teller] = nodes
  if (!teller) throw new Error('There is no node.')
  const table = await teller.control('list_queues', '--quiet', '--local', 'name')
  if (table.includes(queue)) return teller
  return leaderOf(nodes.slice(1), queue)
}

describe('three nodes of RabbitMQ', function () {
  this.timeout(400_000)
  let cluster: RabbitCluster
  let service: Service

  describe('of which one dies', () => {
    before(async () => {
      cluster = await startRabbitCluster()
    })
    after(() => cluster.stop())
    beforeEach(async () => {
      service = await openService(cluster.nodes)
    })
    afterEach(() => service.stop())

    it('lose nothing with the leader of a service’s queue, and handlers go on before it is back', async () => {
      const load = startLoad(service.witness, service.notifier, 4)
      try {
        await eventually(() => service.handled.size > 50, { ...PATIENCE, what: 'the load' })
        const leader = await leaderOf(cluster.nodes, `${service.system.namespace}.service.mailer`)
        await leader.signal('SIGKILL')
        const { calls } = load
        await eventually(() => load.calls > calls + 50, { ...PATIENCE, what: 'more of it' })
        await load.stop()
        await service.settled()
        await leader.start()
      } finally {
        await load.stop()
      }
      expect(service.witness.unknown, 'no call waits for RabbitMQ, or fails with it').to.deep.equal(
        [],
      )
      await service.witness.revoke(service.notifier, { sub: 'after' })
      await service.settled()
    })
  })

  describe('of which one is cut off by the network', () => {
    let network: Network
    before(async function () {
      network = await openNetwork(this, 3)
      this.timeout(400_000)
      cluster = await startRabbitCluster({
        places: network.places,
        config: ['loopback_users = none'],
        // A node takes another for gone after so many seconds of silence.
        args: ['-kernel net_ticktime 8'],
      })
    })
    after(async () => {
      await cluster?.stop()
      await network?.close()
    })
    beforeEach(async () => {
      service = await openService(cluster.nodes)
    })
    afterEach(() => service.stop())

    it('lose nothing that was acknowledged, and go on as before when it is healed', async () => {
      const load = startLoad(service.witness, service.notifier, 4)
      try {
        await eventually(() => service.handled.size > 50, { ...PATIENCE, what: 'the load' })
        const leader = await leaderOf(cluster.nodes, `${service.system.namespace}.service.mailer`)
        const place = cluster.nodes.indexOf(leader)
        await network.cutOff(place)
        const others = cluster.nodes.filter((node) => node !== leader)
        await eventually(
          async () => {
            const status = await others[0]?.control('cluster_status', '--quiet')
            return (
              /Running Nodes([\s\S]*?)Versions/.exec(status ?? '')?.[1]?.match(/@/g)?.length === 2
            )
          },
          { ...PATIENCE, what: 'the majority to miss it' },
        )
        const { calls } = load
        await eventually(() => load.calls > calls + 50, { ...PATIENCE, what: 'more of it' })
        await load.stop()
        await service.settled()
        await network.heal(place)
        await eventually(
          async () => {
            const status = await leader.control('cluster_status', '--quiet')
            return /Running Nodes([\s\S]*?)Versions/.exec(status)?.[1]?.match(/@/g)?.length === 3
          },
          { ...PATIENCE, what: 'the cluster to be whole' },
        )
      } finally {
        await load.stop()
      }
      expect(service.witness.unknown).to.deep.equal([])
      await service.witness.revoke(service.notifier, { sub: 'after' })
      await service.settled()
    })
  })
})
