import { randomBytes } from 'node:crypto'
import { killEpmd } from './epmd.ts'
import { freePort } from './free-port.ts'
import { clearAfterDeath } from './leftovers.ts'
import { nodeNameOf, startRabbit, type PrivateRabbit } from './private-rabbit.ts'

export interface RabbitCluster {
  readonly nodes: readonly PrivateRabbit[]
  stop(): Promise<void>
}

/** A place in a network where a node is run. */
export interface RabbitPlace {
  readonly address: string
  readonly netns: string
}

export interface RabbitClusterOptions {
  /** Without them three on loopback. */
  readonly places?: readonly RabbitPlace[]
  /** Further lines of each node's `rabbitmq.conf`. */
  readonly config?: readonly string[]
  readonly args?: readonly string[]
}

const onLoopback = [undefined, undefined, undefined]
const LOOPBACK = '127.0.0.1'

/** Starts three nodes that find each other as those of `docs/deploy/compose/rabbitmq.conf` do. Resolves when all take connections. */
export async function startRabbitCluster(
  options: RabbitClusterOptions = {},
): Promise<RabbitCluster> {
  const places = options.places ?? onLoopback
  const cluster = `knell-${randomBytes(4).toString('hex')}`
  const cookie = randomBytes(16).toString('hex')
  const epmdPort = await freePort()
  const forgetEpmd = clearAfterDeath({ kind: 'epmd', port: epmdPort })
  const names = places.map((place, index) =>
    nodeNameOf(`${cluster}-${index + 1}`, place?.address ?? LOOPBACK),
  )
  const config = [
    'cluster_formation.peer_discovery_backend = classic_config',
    ...names.map((name, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${name}`),
    'cluster_partition_handling = pause_minority',
    ...(options.config ?? []),
  ]
  const nodes: PrivateRabbit[] = []
  const startNode = async (index: number): Promise<void> => {
    const member = { cluster, name: `-${index + 1}`, cookie, epmdPort, ...places[index] }
    nodes[index] = await startRabbit({ member, config, args: options.args ?? [] })
  }
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()))
    await killEpmd(epmdPort)
    forgetEpmd()
  }
  try {
    // All at once: from RabbitMQ 4 on each waits at its first start until it has found the others.
    const started = await Promise.allSettled(places.map((_, index) => startNode(index)))
    for (const one of started) if (one.status === 'rejected') throw one.reason
    return { nodes, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
