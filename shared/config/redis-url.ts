import type { TlsClient } from '../tls/tls-client.ts'
import { configInvalid } from './problems.ts'

export interface RedisNode {
  readonly host: string
  readonly port: number
}

interface RedisLogin {
  readonly username?: string
  readonly password?: string
  /** Whether to speak TLS (`rediss:`). */
  readonly tls: boolean
  /** How. Absent: as Node does. It stands in no URL. */
  readonly tlsClient?: TlsClient
}

/** Which Redis to open, in one of its three forms. */
export type RedisTarget =
  | (RedisLogin & { readonly kind: 'single'; readonly node: RedisNode; readonly db: number })
  | (RedisLogin & { readonly kind: 'cluster'; readonly nodes: readonly RedisNode[] })
  | (RedisLogin & {
      readonly kind: 'sentinel'
      readonly sentinels: readonly RedisNode[]
      readonly master: string
      readonly db: number
    })

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

interface Parts {
  readonly login: RedisLogin
  readonly node: RedisNode
  readonly path: string
}

function decode(text: string, what: string, problems: string[]): string {
  try {
    return decodeURIComponent(text)
  } catch {
    problems.push(`the ${what} is not percent-encoded well`)
    return ''
  }
}

/** Reads `scheme://user:password@host:port/path`. */
function parseOne(text: string, defaultPort: number, problems: string[]): Parts | undefined {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    problems.push('it is no URL (percent-encode any of / , @ : # ? % in a password)')
    return undefined
  }
  if (url.hostname === '') problems.push('the host is missing')
  if (url.search || url.hash) problems.push('"?" and "#" have no meaning here')
  const username = decode(url.username, 'user name', problems)
  const password = decode(url.password, 'password', problems)
  return {
    login: {
      ...(username && { username }),
      ...(password && { password }),
      tls: url.protocol.startsWith('rediss'),
    },
    node: {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? defaultPort : Number(url.port),
    },
    path: url.pathname.replace(/^\//, ''),
  }
}

function parseDb(path: string, problems: string[]): number {
  if (!/^\d{0,4}$/.test(path))
    problems.push('the path must be the number of a database, such as /0')
  return Number(path)
}

function parseSentinel(text: string, problems: string[]): RedisTarget | undefined {
  const found = /^(rediss?\+sentinel:\/\/(?:[^@/]*@)?)([^/@]*)(\/[^/]*)?(\/.*)?$/i.exec(text)
  if (!found) {
    problems.push('expected redis+sentinel://h1,h2/<master>/<db>')
    return undefined
  }
  const [, head = '', hosts = '', master = '', db = ''] = found
  const parts = hosts.split(',').map((host) => parseOne(`${head}${host}`, SENTINEL_PORT, problems))
  if (master.length < 2)
    problems.push('the name of the master is missing: redis+sentinel://h1,h2/<master>')
  const number = parseDb(db.slice(1), problems)
  const first = parts[0]
  if (!first || problems.length > 0) return undefined
  return {
    kind: 'sentinel',
    ...first.login,
    sentinels: parts.flatMap((one) => (one ? [one.node] : [])),
    master: decode(master.slice(1), 'name of the master', problems),
    db: number,
  }
}

function parseCluster(texts: readonly string[], problems: string[]): RedisTarget | undefined {
  const parts = texts.map((text) => parseOne(text, REDIS_PORT, problems))
  for (const [index, one] of parts.entries()) {
    if (!/^rediss?:\/\//i.test(texts[index] ?? '')) {
      problems.push(`entry ${index + 1} of the list must begin with redis:// or rediss://`)
    } else if (one && one.path !== '' && one.path !== '0') {
      problems.push(`entry ${index + 1} names a database; a cluster has only database 0`)
    }
  }
  const first = parts[0]
  if (!first || problems.length > 0) return undefined
  if (parts.some((one) => JSON.stringify(one?.login) !== JSON.stringify(first.login))) {
    problems.push('all entries of the list must have the same scheme, user and password')
  }
  return { kind: 'cluster', ...first.login, nodes: parts.flatMap((one) => (one ? [one.node] : [])) }
}

/**
 * Parses `REDIS_URL`: `redis://` or `rediss://` (TLS) is one Redis, a comma-separated list of them a
 * Redis Cluster, `redis+sentinel://h1,h2/<master>/<db>` (or `rediss+sentinel://`) a Redis behind
 * Sentinel. User and password belong to Redis itself, percent-encoded. Default ports are 6379 and,
 * for Sentinel, 26379; the default database is 0.
 * @throws KnellError `config_invalid`; its `details.problems` never hold the URL
 */
export function parseRedisUrl(text: string): RedisTarget {
  const problems: string[] = []
  let target: RedisTarget | undefined
  if (/^rediss?\+sentinel:\/\//i.test(text)) target = parseSentinel(text, problems)
  else if (!/^rediss?:\/\//i.test(text)) {
    problems.push('it must begin with redis://, rediss:// or redis+sentinel://')
  } else if (text.includes(',')) {
    target = parseCluster(
      text.split(',').map((one) => one.trim()),
      problems,
    )
  } else {
    const one = parseOne(text, REDIS_PORT, problems)
    if (one) {
      target = { kind: 'single', ...one.login, node: one.node, db: parseDb(one.path, problems) }
    }
  }
  if (!target || problems.length > 0) {
    throw configInvalid('The Redis URL is unusable', [...new Set(problems)])
  }
  return Object.freeze(target)
}
