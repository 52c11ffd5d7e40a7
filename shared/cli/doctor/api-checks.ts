import type { scopes } from '../../config/api-keys.ts'
import { ApiProblem, type ApiClient, type Call } from '../client/api-client.ts'
import { readHealth } from '../status/read-status.ts'
import type { Queues } from '../status/show-queues.ts'
import {
  failure,
  ok,
  runChecks,
  warning,
  type Check,
  type Finding,
  type NamedFinding,
} from './finding.ts'

/** Of calls that are there only where tokens are issued. */
type IssuerScope = 'tokens:issue' | 'keys:write'

type Probed =
  | Exclude<(typeof scopes)[number], '*' | 'tokens:write' | 'tokens:claims' | IssuerScope>
  | 'tokens:write or tokens:claims'

/** What tells whether the key has a scope: a call that the API refuses for another reason, once it has looked at the scope. Nothing is changed, counted or audited. */
const probes: Readonly<Record<Probed, readonly [string, Call]>> = {
  // Whatever asked for one of them would be counted as a token that was refused.
  'tokens:write or tokens:claims': ['/v1/tokens', { body: [] }],
  'revocations:write': [
    '/v1/revocations',
    { body: { match: { sub: 'knell-doctor' }, dryRun: true } },
  ],
  'revocations:mass': [
    '/v1/revocations',
    { body: { match: { aud: 'knell-doctor' }, dryRun: true } },
  ],
  'revocations:undo': ['/v1/schedules', { query: { limit: 1 } }],
  'feed:read': ['/v1/feed', {}],
  'ops:read': ['/v1/subscribers', {}],
  'ops:write': ['/v1/dead', {}],
  'audit:read': ['/v1/audit', { query: { limit: 1 } }],
}

/** What one process says of itself over HTTP. Where it does not answer, that is told once. */
export async function examineApi(
  client: ApiClient,
  kind: 'notifier' | 'poller',
  version: string,
): Promise<readonly NamedFinding[]> {
  let isThere = true
  const address = kind === 'poller' ? '--poller' : '--url or KNELL_URL'
  const check = (name: string, run: Check['run']): Check => ({
    part: 'API',
    check: `${kind}: ${name}`,
    run,
    fix: `Start the ${kind}, or correct ${address}.`,
  })
  const reached = await runChecks([
    check('reachable', async () => {
      isThere = false
      const found = await judgeReachable(client)
      isThere = true
      return found
    }),
  ])
  if (!isThere) return reached
  const ofNotifier = [
    check('API key', () => judgeKey(client)),
    check('alarms', () => judgeAlarms(client)),
  ]
  return [
    ...reached,
    ...(await runChecks([
      check('version', () => judgeVersion(client, version)),
      ...(kind === 'notifier' ? ofNotifier : []),
    ])),
  ]
}

async function judgeReachable(client: ApiClient): Promise<Finding> {
  const { url, key } = client.connection
  const { status, store, broker } = await readHealth(client)
  const problem = store.problem ?? broker.problem ?? (broker.blocked ? 'RabbitMQ is blocked' : '')
  if (status === 'failing') return failure(`failing: ${problem}`, 'Mend the store.')
  if (status === 'degraded')
    return warning(`degraded: ${problem}`, 'Mend RabbitMQ; nothing is lost.')
  const isFar = !['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)
  if (isFar && url.protocol === 'http:' && key !== undefined) {
    return warning(
      `${url.origin} is ready, but the API key goes there unencrypted`,
      'Put a proxy that speaks TLS in front, and use https://.',
    )
  }
  return ok(`${url.origin} is ready`)
}

async function judgeVersion(client: ApiClient, version: string): Promise<Finding> {
  const response = await client.open('/metrics', { headers: { accept: 'text/plain' } })
  const text = await response.text()
  const [, found] = /^knell_build_info\{[^}]*version="([^"]*)"/m.exec(text) ?? []
  if (!response.ok || found === undefined) return ok('not told to this API key')
  return found === version
    ? ok(`Knell ${found}`)
    : warning(`Knell ${found}, and this command is ${version}`, 'Use the same version of both.')
}

async function judgeKey(client: ApiClient): Promise<Finding> {
  if (client.connection.key === undefined) {
    const answer = await mayUse(client, 'ops:read')
    return answer === 'yes'
      ? warning('it lets everybody in (--dev)', 'Set API_KEYS.')
      : warning('none is given', 'Set KNELL_API_KEY.')
  }
  const has: string[] = []
  const lacks: string[] = []
  // One after the other: a wrong key is counted as a failure, and too many are locked out.
  for (const scope of Object.keys(probes) as Probed[]) {
    const answer = await mayUse(client, scope)
    if (answer === 'wrong key')
      return failure('it is wrong', 'Give the secret of a key in KNELL_API_KEY.')
    if (answer === 'other tenant') {
      return failure('it is not for this tenant', 'Name one of its tenants with --tenant.')
    }
    if (answer === 'yes') has.push(scope)
    else lacks.push(scope)
  }
  return ok(
    `it has ${has.join(' ') || 'no scope'}${lacks.length > 0 ? `; not ${lacks.join(' ')}` : ''}`,
  )
}

type May = 'yes' | 'no' | 'wrong key' | 'other tenant'

async function mayUse(client: ApiClient, scope: Probed): Promise<May> {
  const [path, call] = probes[scope]
  const { tenant } = client.connection
  try {
    const named = tenant === undefined ? {} : { tenant }
    const { body, query } = call
    const isObject = body !== undefined && !Array.isArray(body)
    await client.call(path, {
      ...call,
      ...(isObject ? { body: { ...(body as object), ...named } } : {}),
      ...(body === undefined ? { query: { ...query, ...named } } : {}),
    })
    return 'yes'
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error
    if (error.status === 401) return 'wrong key'
    if (error.status !== 403) return error.code === 'not_found' ? 'no' : 'yes'
    return error.message.includes('tenant') && !error.message.includes('scope')
      ? 'other tenant'
      : 'no'
  }
}

/** RabbitMQ tells of its alarms to the management API, which the process asks; without it, only of being blocked. */
async function judgeAlarms(client: ApiClient): Promise<Finding> {
  const { broker } = await readHealth(client)
  if (broker.blocked) {
    return failure('RabbitMQ takes no messages', 'Give RabbitMQ memory or room on its disk.')
  }
  if (!broker.ok) {
    return warning('not told: the notifier does not reach RabbitMQ', 'Mend RabbitMQ first.')
  }
  let queues: (Queues & { rabbitmq?: { alarms?: readonly string[] | null } }) | undefined
  try {
    queues = await client.optional('/v1/queues')
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error
  }
  const alarms = queues?.rabbitmq?.alarms
  if (alarms === undefined || alarms === null)
    return ok('RabbitMQ takes messages; its alarms are not told')
  return alarms.length === 0
    ? ok('none')
    : failure(alarms.join(', '), 'Give RabbitMQ memory or room on its disk.')
}
