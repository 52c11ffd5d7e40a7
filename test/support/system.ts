import { randomBytes } from 'node:crypto'
import {
  spawnKnell,
  type KnellKind,
  type KnellProcess,
  type SpawnOptions,
} from '../../shared/cli/processes.ts'
import { connect, type ConnectOptions, type Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from './eventually.ts'
import { engineUrl, freshNamespace } from './store.ts'
import { deleteKeys, openRedis } from './redis.ts'

type Env = Readonly<Record<string, string>>

/** Real processes on real engines, under a namespace of their own. */
export interface TestSystem {
  readonly namespace: string
  readonly env: Env
  readonly apiKey: string
  start(
    kind: KnellKind,
    env?: Env,
    until?: '/readyz' | '/livez',
    tls?: SpawnOptions['tls'],
  ): Promise<KnellProcess>
  subscribe(options?: Partial<ConnectOptions>): Promise<Subscriber>
  /** Where subscribers pull from: everything started so far. */
  urls(): string[]
  stop(): Promise<void>
}

export function createSystem(settings: Env = {}): TestSystem {
  const { NAMESPACE: namespace = freshNamespace() } = settings
  const apiKey = randomBytes(12).toString('hex')
  const env: Env = {
    AMQP_URL: engineUrl('AMQP_URL'),
    REDIS_URL: engineUrl('REDIS_URL'),
    NAMESPACE: namespace,
    API_KEYS: `test=${apiKey}:*`,
    LOG_LEVEL: 'debug',
    BEAT: '500ms',
    SWEEP_CRON: '* * * * * *',
    SWEEP_GRACE: '2s',
    ...settings,
  }
  const processes: KnellProcess[] = []
  const subscribers: Subscriber[] = []
  const urls = (): string[] => processes.map(({ url }) => url)
  return {
    namespace,
    env,
    apiKey,
    urls,
    async start(kind, more = {}, until = '/readyz', tls) {
      const options = { until, ...(tls === undefined ? {} : { tls }) }
      const process = await spawnKnell(kind, { ...env, ...more }, options)
      processes.push(process)
      return process
    },
    async subscribe(options = {}) {
      const subscriber = await connect({
        service: 'test',
        amqp: String(env['AMQP_URL']),
        pull: urls(),
        apiKey,
        namespace,
        ...options,
      })
      subscribers.push(subscriber)
      return subscriber
    },
    async stop() {
      await Promise.all(subscribers.map((subscriber) => subscriber.close()))
      await Promise.all(processes.map((process) => process.stop()))
      await clearStore(String(env['REDIS_URL']), namespace)
    },
  }
}

/** Deletes what a namespace left in the store, where the store still answers. */
async function clearStore(url: string, namespace: string): Promise<void> {
  const redis = openRedis(url)
  try {
    await deleteKeys(redis, `${namespace}:*`)
    await deleteKeys(redis, `{${namespace}}:*`)
  } catch {
    // The test ended its own engine.
  } finally {
    redis.disconnect()
  }
}

export interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly headers: Headers
}

/** Calls the API of a process. */
export async function call(
  { url }: { readonly url: string },
  apiKey: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      // The sockets of a kept-alive connection would outlive the test.
      connection: 'close',
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const parsed = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  return { status: response.status, body: parsed, headers: response.headers }
}

/** NumericDate of this machine, whose clock the engines share. */
export function now(): number {
  return Math.floor(Date.now() / 1000)
}

const BORN = now() - 60

/** Claims of a token that was issued before any test began and lives on after all of them. */
export function oldToken(): { iat: number; exp: number } {
  return { iat: BORN, exp: BORN + 7200 }
}

/** Waits until a token of this subject is refused by a view. */
export async function dies(subscriber: Subscriber, claims: Record<string, unknown>): Promise<void> {
  const token = { ...oldToken(), ...claims }
  await eventually(() => subscriber.check(token).code === 'revoked', {
    timeoutMs: 15_000,
    intervalMs: 5,
    what: `${JSON.stringify(claims)} to die`,
  })
}

/** What every sweep so far has caught, together. */
export async function caught(
  poller: { readonly url: string },
  apiKey: string,
): Promise<{
  tokens: number
  entries: number
}> {
  const { body } = await call(poller, apiKey, '/v1/sweeps?limit=1000')
  const sweeps = body['sweeps'] as { overdueTokens: number; unsentEntries: number }[]
  return {
    tokens: sweeps.reduce((sum, { overdueTokens }) => sum + overdueTokens, 0),
    entries: sweeps.reduce((sum, { unsentEntries }) => sum + unsentEntries, 0),
  }
}
