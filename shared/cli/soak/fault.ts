import { connect, type Channel } from 'amqplib'
import { namesOf, serviceNamesOf } from '../../domain/names.ts'
import type { Part } from './part.ts'
import type { EngineFault, PartFault, PlannedFault } from './plan.ts'
import { LASTING_TENANT, type Stage } from './stage.ts'

/** A fault that can be made, and ended: that, also where making it has failed half-way. */
export interface Fault {
  readonly begin: () => Promise<unknown> | void
  readonly end: () => Promise<unknown> | void
}

/** Whoever uses a queue declares it again, and the sweep sends again what was in it. */
const mendsItself = (): void => {}

const ofParts: Readonly<Record<PartFault, (part: Part) => Fault>> = {
  kill: (part) => ({ begin: () => part.kill(), end: () => part.start() }),
  pause: (part) => ({ begin: () => part.pause(), end: () => part.goOn() }),
  cut: ({ broker }) => ({ begin: () => broker.cut(), end: () => broker.resume() }),
  stall: ({ broker }) => ({ begin: () => broker.stall(), end: () => broker.resume() }),
  slow: ({ broker }) => ({
    begin: () => broker.slow({ latencyMs: 200, bytesPerSecond: 20_000 }),
    end: () => broker.resume(),
  }),
  reset: ({ broker }) => ({ begin: () => broker.reset(), end: mendsItself }),
  'store cut': ({ store }) => ({ begin: () => store?.cut(), end: () => store?.resume() }),
}

const ofEngines: Readonly<Record<EngineFault, (stage: Stage, service: string) => Fault>> = {
  'kill rabbit': ({ engines: { rabbit } }) => ({
    begin: () => rabbit.signal('SIGKILL'),
    end: () => rabbit.start(),
  }),
  'pause rabbit': ({ engines: { rabbit } }) => ({
    begin: () => rabbit.signal('SIGSTOP'),
    end: () => rabbit.signal('SIGCONT'),
  }),
  'kill redis': ({ engines: { redis } }) => ({
    begin: () => redis.signal('SIGKILL'),
    end: () => redis.start(),
  }),
  'pause redis': ({ engines: { redis } }) => ({
    begin: () => redis.signal('SIGSTOP'),
    end: () => redis.signal('SIGCONT'),
  }),
  'delete queue': (stage, service) => ({
    begin: () => onChannel(stage, service, (channel, queue) => channel.deleteQueue(queue)),
    end: mendsItself,
  }),
  'unbind queue': (stage, service) => ({
    begin: () => onChannel(stage, service, (channel, queue) => unbind(stage, channel, queue)),
    end: mendsItself,
  }),
  // It believes that it has no memory left, and takes nothing from publishers.
  alarm: ({ engines: { rabbit } }) => ({
    begin: () => rabbit.control('set_vm_memory_high_watermark', 'absolute', '1'),
    end: () => rabbit.control('set_vm_memory_high_watermark', '0.6'),
  }),
}

async function unbind({ engines }: Stage, channel: Channel, queue: string): Promise<void> {
  const { revocations } = namesOf(engines.namespace)
  await channel.unbindQueue(queue, revocations, `${LASTING_TENANT}.revoked`)
}

async function onChannel(
  { engines }: Stage,
  service: string,
  use: (channel: Channel, queue: string) => Promise<unknown>,
): Promise<void> {
  const model = await connect(engines.amqpUrl, { timeout: 10_000 })
  model.on('error', () => {})
  try {
    const channel = await model.createChannel()
    channel.on('error', () => {})
    await use(channel, serviceNamesOf(namesOf(engines.namespace), service).queue)
  } finally {
    await model.close().catch(() => {})
  }
}

export function faultOf(stage: Stage, { fault, target = '' }: PlannedFault): Fault {
  if (fault in ofEngines) return ofEngines[fault as EngineFault](stage, target)
  const part = stage.parts.find(({ name }) => name === target)
  if (part === undefined) throw new Error(`There is no part called ${target}.`)
  return ofParts[fault as PartFault](part)
}
