import { randomBytes, randomInt } from 'node:crypto'
import type { Context } from 'mocha'
import { clearAfterDeath } from '../../shared/cli/engines/leftovers.ts'
import type { RabbitPlace } from '../../shared/cli/engines/rabbit-cluster.ts'
import { runCommand } from '../../shared/cli/engines/run-command.ts'

/** Network namespaces of this machine, joined by a bridge that this process reaches too. */
export interface Network {
  readonly places: readonly RabbitPlace[]
  /** From now on this place and the others hear nothing of each other; this process hears all of them. */
  cutOff(place: number): Promise<void>
  heal(place: number): Promise<void>
  /** Ends what still runs there. */
  close(): Promise<void>
}

/**
 * So many namespaces. Addresses are of the block for tests of networks (RFC 2544), so nothing leaves the machine. Where they
 * may not be made, the tests of the suite are skipped.
 */
export async function openNetwork(suite: Context, count: number): Promise<Network> {
  const name = `kn${randomBytes(4).toString('hex')}`
  const subnet = `198.18.${randomInt(256)}`
  const places = Array.from({ length: count }, (_, index) => ({
    netns: `${name}-${index + 1}`,
    address: `${subnet}.${index + 1}`,
  }))
  const steps = [
    `ip link add ${name} type bridge`,
    `ip addr add ${subnet}.254/24 dev ${name}`,
    `ip link set ${name} up`,
    ...places.flatMap(({ netns, address }, index) => [
      `ip netns add ${netns}`,
      `ip link add ${name}.${index + 1} type veth peer name eth0 netns ${netns}`,
      `ip link set ${name}.${index + 1} master ${name} up`,
      `ip -n ${netns} addr add ${address}/24 dev eth0`,
      `ip -n ${netns} link set eth0 up`,
      `ip -n ${netns} link set lo up`,
    ]),
  ]
  const undo = [
    ...places.map(({ netns }) => `ip netns pids ${netns} | xargs -r kill -9`),
    ...places.map(({ netns }) => `ip netns del ${netns}`),
    `ip link del ${name}`,
  ].join('; ')
  const PATH = process.env['PATH'] ?? ''
  const forget = clearAfterDeath({ kind: 'command', file: 'sh', args: ['-c', undo], env: { PATH } })
  const close = async (): Promise<void> => {
    await runCommand('sh', ['-c', undo], { timeoutMs: 20_000 })
    forget()
  }
  const { code, output } = await sh(`set -e\n${steps.join('\n')}`)
  if (code !== 0) {
    await close()
    console.error(`Skipped, for network namespaces cannot be made here: ${output.trim()}`)
    suite.skip()
  }
  const others = (place: number) => places.filter((_, index) => index !== place)
  const change = async (verb: 'add' | 'del', place: number): Promise<void> => {
    const { netns, address } = places[place] ?? { netns: '', address: '' }
    const lines = others(place).flatMap((other) => [
      `ip -n ${netns} route ${verb} blackhole ${other.address}`,
      `ip -n ${other.netns} route ${verb} blackhole ${address}`,
    ])
    const done = await sh(`set -e\n${lines.join('\n')}`)
    if (done.code !== 0) throw new Error(`The network could not be changed: ${done.output}`)
  }
  return {
    places,
    cutOff: (place) => change('add', place),
    heal: (place) => change('del', place),
    close,
  }
}

function sh(script: string): ReturnType<typeof runCommand> {
  return runCommand('sh', ['-c', script], { timeoutMs: 20_000 })
}
