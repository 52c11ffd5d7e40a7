import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { isIP } from 'node:net'
import type { RedisTarget } from '../config/redis-url.ts'
import { createTlsClient } from '../tls/tls-client.ts'
import type { RedisClient } from './store.ts'

/** Longer than any script takes, shorter than a caller waits. A frozen server answers nothing at all without it. */
const COMMAND_TIMEOUT_MS = 3000

function optionsOf(target: RedisTarget): RedisOptions {
  return {
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...tlsOf(target),
    ...('db' in target ? { db: target.db } : {}),
    connectTimeout: 5000,
    enableReadyCheck: true,
    // After a fail-over the old primary refuses writes: reconnect, and send the same command again.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    retryStrategy: (times) =>
      Math.min(50 * 2 ** Math.min(times, 6), 2000) * (0.75 + Math.random() / 2),
  }
}

/** TLS all the way: ioredis would ask the Sentinels by TLS and then speak to the primary in plain. */
function tlsOf(target: RedisTarget): RedisOptions {
  if (!target.tls) return {}
  const { options } = target.tlsClient ?? createTlsClient()
  if (target.kind === 'sentinel') {
    return { tls: options, sentinelTLS: options, enableTLSForSentinelMode: true }
  }
  // Proxies find the server by this name.
  const named = target.kind === 'single' && isIP(target.node.host) === 0
  return { tls: named ? { ...options, servername: target.node.host } : options }
}

// oxlint-disable-next-line typescript/no-explicit-any -- ioredis's own option types contradict each other under exactOptionalPropertyTypes.
function open(target: RedisTarget, options: any): RedisClient {
  switch (target.kind) {
    case 'single':
      return new Redis({ ...options, host: target.node.host, port: target.node.port })
    case 'sentinel':
      return new Redis({
        ...options,
        sentinels: [...target.sentinels],
        name: target.master,
        ...(target.password === undefined ? {} : { sentinelPassword: target.password }),
      })
    case 'cluster':
      return new Cluster([...target.nodes], {
        redisOptions: options,
        clusterRetryStrategy: (times) => Math.min(100 * times, 2000),
        slotsRefreshTimeout: 3000,
        // Certificates are for the names that the nodes are given by, not for the addresses behind them.
        ...(target.tls ? { dnsLookup: keepName } : {}),
        // The queue of a cluster client knows no time limit; without it a command fails at once, and its caller tries again.
        enableOfflineQueue: options.maxRetriesPerRequest === null,
      })
  }
}

function keepName(name: string, done: (error: null, address: string) => void): void {
  done(null, name)
}

/**
 * A connection for Knell's own commands. Every command has a time limit; one that is sent twice has
 * one effect, since the scripts are made so. Errors go to `onError`, never to the process.
 */
export function createRedis(target: RedisTarget, onError: (error: Error) => void): RedisClient {
  const client = open(target, {
    ...optionsOf(target),
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: 10_000,
    maxRetriesPerRequest: 1,
  })
  client.on('error', onError)
  return client
}

/** A connection as BullMQ wants it: blocking commands wait for ever, so there is no limit on them. */
export function createBullRedis(target: RedisTarget, onError: (error: Error) => void): RedisClient {
  const client = open(target, { ...optionsOf(target), maxRetriesPerRequest: null })
  client.on('error', onError)
  return client
}
