import { connect, type Channel, type ChannelModel } from 'amqplib'
import type { HttpTarget } from '../../config/rabbit-urls.ts'
import { isRecord } from '../../domain/entry.ts'
import { ackKey, beatKey, type Names } from '../../domain/names.ts'
import type { Permissions } from '../../broker/permissions.ts'
import { serviceTopologyOf, type QueueSpec } from '../../broker/service-topology.ts'
import { declareInstanceQueue, exchangesOf } from '../../broker/topology.ts'
import type { TlsClient } from '../../tls/tls-client.ts'
import { boundedGet } from '../../queues/bounded-get.ts'

/** How something that should be there is; `unseen`: there, but this user may not look closer. */
export type Seen = 'good' | 'unseen' | 'missing' | 'different' | 'refused'

export interface SeenThing {
  readonly name: string
  readonly seen: Seen
  /** What RabbitMQ says of it. */
  readonly said: string
}

/** What RabbitMQ shows this user. */
export interface RabbitFacts {
  readonly version: string
  readonly user: string
  readonly exchanges: readonly SeenThing[]
  readonly queues: readonly SeenThing[]
  /** What the processes must be able to do and this user could not, in RabbitMQ's words. */
  readonly refused: readonly string[]
  /** Whether the user may declare exchanges, which notifiers and pollers need not. */
  readonly mayDeclare: boolean
  readonly management: ManagementFacts | undefined
}

/** What only the management API tells. Each is undefined where it does not tell it to this login. */
export interface ManagementFacts {
  readonly rights: Permissions | undefined
  readonly policies: ReadonlyMap<string, Readonly<Record<string, unknown>>> | undefined
}

export interface RabbitTarget {
  readonly url: string
  readonly tls: TlsClient | undefined
  readonly management: HttpTarget | undefined
}

/** Looks at everything over one connection. What it declares is exclusive to it and goes with it. @throws what the driver says where RabbitMQ cannot be used */
export async function readRabbit(
  { url, tls, management }: RabbitTarget,
  names: Names,
  services: readonly string[],
): Promise<RabbitFacts> {
  const model = await connect(url, {
    ...tls?.options,
    timeout: 4000,
    clientProperties: { connection_name: 'knell doctor' },
  })
  model.on('error', () => {})
  try {
    const user = decodeURIComponent(new URL(url).username) || 'guest'
    const exchanges: SeenThing[] = []
    for (const name of exchangesOf(names)) {
      exchanges.push(
        await lookAt(
          model,
          name,
          'exchange',
          (channel) => channel.checkExchange(name),
          (channel) => channel.assertExchange(name, 'topic', { durable: true }),
        ),
      )
    }
    const queues: SeenThing[] = []
    for (const queue of services.flatMap((service) => queuesOf(names, service))) {
      queues.push(
        await lookAt(
          model,
          queue.name,
          'queue',
          (channel) => channel.checkQueue(queue.name),
          (channel) =>
            channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments }),
        ),
      )
    }
    return {
      version: model.connection.serverProperties.version,
      user,
      exchanges,
      queues,
      refused: await refusalsOf(model, names),
      mayDeclare: exchanges.some(({ seen }) => seen === 'good'),
      management: management && (await readManagementFacts(management, user)),
    }
  } finally {
    await model.close().catch(() => {})
  }
}

function queuesOf(names: Names, service: string): readonly QueueSpec[] {
  return serviceTopologyOf(names, service, { tenants: [], kinds: [] }).queues
}

type Step = (channel: Channel) => Promise<unknown>

/** First whether it is there, then whether it is as it should be, which takes the right to declare it. */
async function lookAt(
  model: ChannelModel,
  name: string,
  what: string,
  check: Step,
  declare: Step,
): Promise<SeenThing> {
  const there = await attempt(model, check)
  if (there !== undefined) {
    return {
      name: `${what} ${name}`,
      seen: there.code === 404 ? 'missing' : 'refused',
      said: there.said,
    }
  }
  const same = await attempt(model, declare)
  const seen = same === undefined ? 'good' : same.code === 406 ? 'different' : 'unseen'
  return { name: `${what} ${name}`, seen, said: same?.said ?? '' }
}

/** What notifiers and pollers bind queues of their own to, and by which keys. */
export function heardBy(names: Names): readonly (readonly [exchange: string, key: string])[] {
  return [
    [names.control, beatKey('*')],
    [names.control, ackKey('*', '*')],
    [names.revocations, '*.*'],
  ]
}

/** What every notifier and poller does with a queue of its own. */
async function refusalsOf(model: ChannelModel, names: Names): Promise<readonly string[]> {
  const refusal = await attempt(model, async (channel) => {
    const queue = await declareInstanceQueue(channel)
    for (const [exchange, key] of heardBy(names)) await channel.bindQueue(queue, exchange, key)
    await channel.consume(queue, () => {}, { noAck: true })
  })
  return refusal === undefined || refusal.code === 404 ? [] : [refusal.said]
}

/** A channel of its own for one step, since a refusal closes it. Undefined where the step was let. */
async function attempt(
  model: ChannelModel,
  step: Step,
): Promise<{ code: unknown; said: string } | undefined> {
  const channel = await model.createChannel()
  channel.on('error', () => {})
  try {
    await step(channel)
  } catch (error) {
    const { code, message = '' } = error as { code?: unknown; message?: string }
    if (typeof code !== 'number') throw error
    const [, said = message] = /"([^]*)"$/.exec(message) ?? []
    return { code, said }
  }
  await channel.close()
  return undefined
}

async function readManagementFacts(target: HttpTarget, user: string): Promise<ManagementFacts> {
  const { url, login, vhost } = target
  const read = async (path: string): Promise<unknown> => {
    const got = await boundedGet(new URL(`${url.pathname.replace(/\/$/, '')}/api/${path}`, url), {
      login,
    })
    try {
      return got.word === 'ok' ? (JSON.parse(got.text) as unknown) : undefined
    } catch {
      return undefined
    }
  }
  const [where, who] = [encodeURIComponent(vhost), encodeURIComponent(user)]
  const [permission, topics, policies] = await Promise.all([
    read(`permissions/${where}/${who}`),
    read(`topic-permissions/${where}/${who}`),
    read(`policies/${where}`),
  ])
  return { rights: toRights(permission, topics), policies: toPolicies(policies) }
}

function toRights(permission: unknown, topics: unknown): Permissions | undefined {
  if (!isRecord(permission)) return undefined
  return {
    permission: {
      configure: textOf(permission, 'configure'),
      write: textOf(permission, 'write'),
      read: textOf(permission, 'read'),
    },
    topics: (Array.isArray(topics) ? topics : []).filter(isRecord).map((topic) => ({
      exchange: textOf(topic, 'exchange'),
      write: textOf(topic, 'write'),
      read: textOf(topic, 'read'),
    })),
  }
}

function toPolicies(policies: unknown): ManagementFacts['policies'] {
  if (!Array.isArray(policies)) return undefined
  return new Map(policies.filter(isRecord).map((policy) => [String(policy['name']), policy]))
}

function textOf(from: Record<string, unknown>, name: string): string {
  const value = from[name]
  return typeof value === 'string' ? value : ''
}
