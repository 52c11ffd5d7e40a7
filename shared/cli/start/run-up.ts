import { randomBytes } from 'node:crypto'
import { openEngines, type Engines } from '../engines/engines.ts'
import { freePort, isFree } from '../engines/free-port.ts'
import { onInterrupt } from '../interrupt.ts'
import { spawnKnell, type KnellKind, type KnellProcess } from '../processes.ts'

const usualPorts: Readonly<Record<KnellKind, number>> = { notifier: 7070, poller: 7071 }

const log = (line: string): void => console.error(line)

/**
 * Runs the engines, one notifier and one poller until a signal comes or one of them ends by itself.
 * Returns the exit code; what was still starting then is the reaper's, so the caller ends the process.
 */
export async function runUp(): Promise<number> {
  const engines = await openEngines({ env: process.env, log })
  const interrupted = new Promise<undefined>((resolve) => onInterrupt(() => resolve(undefined)))
  const up: Up = { engines, secret: randomBytes(18).toString('base64url'), running: [] }
  const failure = await Promise.race([interrupted, run(up)]).catch((error: Error) => error.message)
  log(failure ?? 'Stopping ...')
  await Promise.all(up.running.map((knell) => knell.stop()))
  await engines.stop()
  return failure === undefined ? 0 : 1
}

interface Up {
  readonly engines: Engines
  readonly secret: string
  readonly running: KnellProcess[]
}

async function start(up: Up, kind: KnellKind): Promise<KnellProcess> {
  const usual = usualPorts[kind]
  if (!(await isFree(usual))) return startOn(up, kind, await freePort())
  try {
    return await startOn(up, kind, usual)
  } catch (error) {
    // Another copy has taken the port in this very moment.
    if (!String(error).includes('EADDRINUSE')) throw error
    return startOn(up, kind, await freePort())
  }
}

async function startOn(up: Up, kind: KnellKind, port: number): Promise<KnellProcess> {
  const { engines, secret, running } = up
  const keys = [process.env.API_KEYS, `dev=${secret}:*`].filter(Boolean)
  const env = {
    LOG_LEVEL: 'warn',
    ...process.env,
    AMQP_URL: engines.amqpUrl,
    REDIS_URL: engines.redisUrl,
    NAMESPACE: engines.namespace,
    HOST: '127.0.0.1',
    PORT: `${port}`,
    API_KEYS: keys.join(' '),
  }
  const knell = await spawnKnell(kind, env, { onLine: (line) => log(`${kind}: ${line}`) })
  running.push(knell)
  return knell
}

/** Resolves with what went wrong if either process ends by itself. */
async function run(up: Up): Promise<string> {
  const [notifier, poller] = await Promise.all([start(up, 'notifier'), start(up, 'poller')])
  console.log(invitation(up, notifier.url, poller.url))
  return Promise.race(
    up.running.map(async ({ kind, exited }) => {
      const { code, signal } = await exited
      return `The ${kind} has ended (${code ?? signal}).`
    }),
  )
}

function invitation({ engines, secret }: Up, notifier: string, poller: string): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = { jti: 't-1', sub: 'alice', iat: now, exp: now + 3600 }
  const post = (path: string, body: unknown): string =>
    `  curl -s ${notifier}${path} -H 'Authorization: Bearer ${secret}' \\\n` +
    `    -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`
  const isOpsOn = process.env.OPS?.trim() !== '0'
  const dashboard = isOpsOn ? `Dashboard: ${notifier}/ops (log in with the key below)\n` : ''
  return `
Knell runs. Notifier: ${notifier}  Poller: ${poller}
${dashboard}RabbitMQ: ${engines.amqpUrl}  Redis: ${engines.redisUrl}  Namespace: ${engines.namespace}
API key of this run, for everything: ${secret}

Register a token, revoke all of Alice's, ask about hers:

${post('/v1/tokens', { claims })}

${post('/v1/revocations', { match: { sub: 'alice' }, reason: 'logout' })}

${post('/v1/check', { claims, header: {} })}

In another terminal, the same from the command line (npx knell --help):

  export KNELL_URL=${notifier} KNELL_API_KEY=${secret} \\
    AMQP_URL=${engines.amqpUrl} REDIS_URL=${engines.redisUrl} NAMESPACE=${engines.namespace}

Ctrl-C stops everything.`
}
