import { randomBytes } from 'node:crypto'
import { installWithApt, mayInstall } from './apt.ts'
import { dockerAnswers, openDocker } from './docker.ts'
import { findRabbit, findRedis } from './find-binaries.ts'
import { openGiven } from './given.ts'
import type { PrivateEngine } from './private-engine.ts'
import { startRabbit, type RabbitOptions } from './private-rabbit.ts'
import { startRedis, type RedisOptions } from './private-redis.ts'
import { showProgress } from './progress.ts'
import { SetupError } from './setup-error.ts'
import { aptPackages, whatToInstall } from './what-to-install.ts'

export type EngineName = PrivateEngine['name']

/** A RabbitMQ and a Redis to work with, however they were come by. */
export interface Engines {
  readonly amqpUrl: string
  readonly redisUrl: string
  /** Unique per run. Every Redis key and AMQP name of the run begins with it. */
  readonly namespace: string
  /** `given` if either was given, else `docker` if either comes from there. */
  readonly source: 'given' | 'local' | 'docker'
  /** Present only where the engine is a private process that may be killed. */
  readonly rabbit?: PrivateEngine
  readonly redis?: PrivateEngine
  /** Clears away what this run has made: private engines with their folders; on given ones, every name of the run. */
  stop(): Promise<void>
}

export interface EngineOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: (line: string) => void
  /** Services whose durable queues are deleted from a given RabbitMQ, besides those that the store knows of. */
  readonly services?: readonly string[]
  /** How private engines are started, where they are. */
  readonly redis?: RedisOptions
  readonly rabbit?: RabbitOptions
}

/** One or both engines from one source. */
export interface OpenPart {
  readonly urls: Partial<Record<EngineName, string>>
  readonly engine?: PrivateEngine
  stop(): Promise<void>
}

const titles: Readonly<Record<EngineName, string>> = { rabbitmq: 'RabbitMQ', redis: 'Redis' }
const names: readonly EngineName[] = ['redis', 'rabbitmq']

/**
 * Gets a RabbitMQ and a Redis: those of `AMQP_URL` and `REDIS_URL` if given; else private ones, from
 * binaries of this machine; else Docker's; else, on Debian and Ubuntu, it installs the binaries. One
 * that merely listens on a default port is never used. Should this process be killed, a reaper clears
 * away in its place. Where there is no way it throws, and says what to install.
 */
export async function openEngines(options: EngineOptions): Promise<Engines> {
  const namespace = `knell-${randomName()}`
  const sources = await chooseSources(options)
  const results = await Promise.allSettled(openParts(sources, namespace, options))
  const parts = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    stopping ??= Promise.all(parts.map((part) => part.stop())).then(() => undefined)
    await stopping
  }
  const failure = results.find((result) => result.status === 'rejected')
  if (failure) {
    await stop()
    throw failure.reason
  }
  const urls: OpenPart['urls'] = Object.assign({}, ...parts.map((part) => part.urls))
  const engineOf = (name: EngineName): PrivateEngine | undefined =>
    parts.find((part) => part.engine?.name === name)?.engine
  const rabbit = engineOf('rabbitmq')
  const redis = engineOf('redis')
  return {
    amqpUrl: urls.rabbitmq ?? '',
    redisUrl: urls.redis ?? '',
    namespace,
    source: mainSource(Object.values(sources)),
    ...(rabbit && { rabbit }),
    ...(redis && { redis }),
    stop,
  }
}

type Sources = Readonly<Record<EngineName, Engines['source']>>

async function chooseSources(options: EngineOptions): Promise<Sources> {
  const { env, log } = options
  const given = { rabbitmq: env.AMQP_URL, redis: env.REDIS_URL }
  const find = { rabbitmq: findRabbit, redis: findRedis }
  const sourceOf = (name: EngineName): Engines['source'] | undefined => {
    if (given[name]) return 'given'
    return find[name]() === undefined ? undefined : 'local'
  }
  const missing = names.filter((name) => sourceOf(name) === undefined)
  if (missing.length === 0) return fill(sourceOf, 'local')
  if (await dockerAnswers()) return fill(sourceOf, 'docker')
  if (await mayInstall(env)) {
    const packages = missing.map((name) => aptPackages[name])
    await installWithApt(packages, log)
  }
  const stillMissing = names.filter((name) => sourceOf(name) === undefined)
  if (stillMissing.length > 0) throw new SetupError(whatToInstall(stillMissing))
  return fill(sourceOf, 'local')
}

function fill(
  sourceOf: (name: EngineName) => Engines['source'] | undefined,
  otherwise: Engines['source'],
): Sources {
  return {
    rabbitmq: sourceOf('rabbitmq') ?? otherwise,
    redis: sourceOf('redis') ?? otherwise,
  }
}

/** Opens everything side by side. */
function openParts(
  sources: Sources,
  namespace: string,
  options: EngineOptions,
): Promise<OpenPart>[] {
  const { env, log, services = [] } = options
  const from = (source: Engines['source']): EngineName[] =>
    names.filter((name) => sources[name] === source)
  const given = from('given')
  const docker = from('docker')
  return [
    ...from('local').map((name) =>
      showProgress(log, `private ${titles[name]}`, openPrivate(name, options)),
    ),
    ...(docker.length > 0
      ? [showProgress(log, `${list(docker)} in Docker`, openDocker(namespace, docker))]
      : []),
    ...(given.length > 0
      ? [showProgress(log, `given ${list(given)}`, openGiven({ env, namespace, services }))]
      : []),
  ]
}

async function openPrivate(
  name: EngineName,
  { redis, rabbit }: Pick<EngineOptions, 'redis' | 'rabbit'>,
): Promise<OpenPart> {
  const engine = await (name === 'redis' ? startRedis(redis) : startRabbit(rabbit))
  return { urls: { [name]: engine.url }, engine, stop: () => engine.stop() }
}

function list(some: readonly EngineName[]): string {
  return some.map((name) => titles[name]).join(' and ')
}

function mainSource(sources: readonly Engines['source'][]): Engines['source'] {
  if (sources.includes('given')) return 'given'
  return sources.includes('docker') ? 'docker' : 'local'
}

/** Six characters that a Redis key, an AMQP name and a Docker project may all hold. */
function randomName(): string {
  return randomBytes(4).readUInt32BE().toString(36).padStart(7, '0').slice(-6)
}
