import { parseManagementUrl } from '../../config/rabbit-urls.ts'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { loadTls } from '../../config/tls-settings.ts'
import { isKnellError } from '../../domain/errors.ts'
import type { Names } from '../../domain/names.ts'
import { createTlsClient } from '../../tls/tls-client.ts'
import { amqpTlsOf } from '../client/amqp-tls.ts'
import { ApiProblem, type ApiClient } from '../client/api-client.ts'
import type { Subscribers } from '../status/read-status.ts'
import { examineApi } from './api-checks.ts'
import {
  failure,
  runChecks,
  warning,
  type Check,
  type Finding,
  type NamedFinding,
} from './finding.ts'
import { readRabbit, type RabbitFacts } from './rabbit-facts.ts'
import { judgePolicies, judgeRabbitVersion, judgeRights, judgeThings } from './rabbit-judgements.ts'
import { readRedis, type RedisFacts } from './redis-facts.ts'
import * as judge from './redis-judgements.ts'

export interface DoctorOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly names: Names
  readonly shards: number
  readonly notifier: ApiClient
  readonly poller: ApiClient | undefined
  /** Besides those that the API knows. */
  readonly services: readonly string[]
  readonly version: string
}

/** Everything that can be looked at from here, side by side. */
export async function runDoctor(options: DoctorOptions): Promise<readonly NamedFinding[]> {
  const { notifier, poller, version } = options
  const findings = await Promise.all([
    examineRedis(options),
    examineRabbit(options),
    examineApi(notifier, 'notifier', version),
    ...(poller === undefined ? [] : [examineApi(poller, 'poller', version)]),
  ])
  return findings.flat()
}

/** The facts are read once; where they cannot be, that is the one finding. */
async function examine<T>(
  part: NamedFinding['part'],
  fix: string,
  read: () => Promise<T> | Finding,
  judgeAll: (facts: T) => readonly (readonly [name: string, finding: Finding])[],
): Promise<readonly NamedFinding[]> {
  let facts: T | undefined
  const check: Check = {
    part,
    check: 'reachable',
    fix,
    async run() {
      const found = read()
      if ('level' in found) return found
      facts = await found
      return { level: 'ok', found: 'it answers' }
    },
  }
  const reached = await runChecks([check])
  if (facts === undefined) return reached
  return [
    ...reached,
    ...judgeAll(facts).map(([name, finding]) => ({ part, check: name, ...finding })),
  ]
}

function examineRedis({ env, names, shards }: DoctorOptions): Promise<readonly NamedFinding[]> {
  return examine<RedisFacts>(
    'Redis',
    'Start Redis, or correct REDIS_URL.',
    () => {
      const url = env['REDIS_URL']?.trim()
      if (!url) return warning('REDIS_URL is not set, so it was not looked at', 'Set REDIS_URL.')
      try {
        const tls = loadTls(env).redis
        const target = parseRedisUrl(url)
        const redis = tls === undefined ? target : { ...target, tlsClient: createTlsClient(tls) }
        return readRedis(redis, names.namespace).catch((error: Error) => {
          throw new Error(`not to be used: ${error.message}`, { cause: error })
        })
      } catch (error) {
        if (!isKnellError(error)) throw error
        return failure(error.message, 'Correct REDIS_URL and what belongs to it.')
      }
    },
    (facts) => [
      ['version', judge.judgeRedisVersion(facts)],
      ['eviction', judge.judgePolicy(facts)],
      ['persistence', judge.judgePersistence(facts)],
      ['memory', judge.judgeMemory(facts)],
      ['replication', judge.judgeReplication(facts)],
      ['clock', judge.judgeSkew(facts)],
      ['latency', judge.judgeLatency(facts)],
      ['hashes', judge.judgeListpack(facts)],
      ['shards', judge.judgeShards(facts, shards)],
    ],
  )
}

function examineRabbit(options: DoctorOptions): Promise<readonly NamedFinding[]> {
  const { env, names, notifier } = options
  return examine<RabbitFacts>(
    'RabbitMQ',
    'Start RabbitMQ, or correct AMQP_URL.',
    () => {
      const url = env['AMQP_URL']?.trim()
      if (!url) return warning('AMQP_URL is not set, so it was not looked at', 'Set AMQP_URL.')
      if (!/^amqps?:\/\//i.test(url) || !URL.canParse(url)) {
        return failure('AMQP_URL is no amqp:// or amqps:// URL', 'Correct AMQP_URL.')
      }
      const asked = env['RABBITMQ_MANAGEMENT_URL']?.trim()
      const tls = amqpTlsOf(env, url)
      const management = asked ? parseManagementUrl(asked, url) : undefined
      return servicesOf(notifier, options.services).then((services) =>
        readRabbit({ url, tls, management }, names, services),
      )
    },
    (facts) => [
      ['version', judgeRabbitVersion(facts.version)],
      ['permissions', judgeRights(facts, names)],
      ['exchanges', judgeThings(facts.exchanges, 'none')],
      ['queues', judgeThings(facts.queues, 'no service with handlers is known')],
      ['policies', judgePolicies(facts, names)],
    ],
  )
}

/** The services whose queues there should be: those that are named, and those that the API knows. */
async function servicesOf(
  notifier: ApiClient,
  named: readonly string[],
): Promise<readonly string[]> {
  const { tenant } = notifier.connection
  try {
    const found = await notifier.call<Subscribers>('/v1/subscribers', { query: { tenant } })
    return [...new Set([...named, ...found.handlers.map(({ service }) => service)])]
  } catch (error) {
    // Why the API does not tell is said by the lines about it.
    if (error instanceof ApiProblem || (error as Error).name === 'CommandError') return named
    throw error
  }
}
