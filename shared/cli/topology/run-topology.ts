import { connect } from 'amqplib'
import { vhostOf } from '../../config/rabbit-urls.ts'
import { NAMESPACE } from '../../config/settings.ts'
import { isKnellError } from '../../domain/errors.ts'
import { namesOf } from '../../domain/names.ts'
import { amqpTlsOf } from '../client/amqp-tls.ts'
import { UsageError } from '../usage-error.ts'
import { applyTopology, checkTopology, type Item } from './declare.ts'
import { parseOptions, type TopologyOptions } from './options.ts'
import { showTopology, topologyOf } from './show-topology.ts'
import { commandsOf, definitionsOf } from './users.ts'

/**
 * Shows, declares, checks or compares what lasts in RabbitMQ, or prints users' rights. Exit code 0: done;
 * 1: something is missing, different, refused or away; 2: the command line or the environment is wrong.
 */
export async function runTopology(args: readonly string[]): Promise<number> {
  try {
    return await run(parseOptions(args))
  } catch (error) {
    // What RabbitMQ or the network says is for the user; where the fault is ours the stack helps.
    const isUsage = error instanceof UsageError || isKnellError(error, 'config_invalid')
    console.error(isUsage || isOfRabbit(error) ? error.message : error)
    return isUsage ? 2 : 1
  }
}

async function run(options: TopologyOptions): Promise<number> {
  const { action, services, json } = options
  const { AMQP_URL: url, NAMESPACE: namespace } = process.env
  if (namespace && !NAMESPACE.test(namespace)) {
    throw new UsageError('NAMESPACE must be 1 to 20 characters of a-z, 0-9 and -, a letter first.')
  }
  const names = namesOf(namespace || undefined)
  if (action === 'permissions') {
    const vhost = url ? vhostOf(url) : '/'
    console.log(
      json
        ? JSON.stringify(definitionsOf(names, services, vhost), null, 2)
        : commandsOf(names, services, vhost).join('\n'),
    )
    return 0
  }
  if (action === 'show') {
    const wanted = topologyOf(names, services)
    console.log(json ? JSON.stringify(wanted, null, 2) : showTopology(wanted))
    return 0
  }
  if (!url) throw new UsageError('AMQP_URL is not set: amqp:// or amqps:// of the deploy user.')
  const model = await connect(url, { ...amqpTlsOf(process.env, url)?.options, timeout: 5000 })
  model.on('error', () => {})
  try {
    const pass = action === 'apply' ? applyTopology : checkTopology
    const items = await pass(model, names, services)
    if (action === 'diff') tellDifferences(items, json)
    else tellAll(items)
    return items.every(({ state }) => state === 'ok') ? 0 : 1
  } finally {
    await model.close().catch(() => {})
  }
}

function tellAll(items: readonly Item[]): void {
  for (const { what, state, detail } of items) {
    if (state === 'ok') console.log(`ok  ${what}`)
    else console.error(`!!  ${what}: ${detail}`)
  }
}

const signs: Readonly<Record<Exclude<Item['state'], 'ok'>, string>> = {
  missing: '+',
  different: '~',
  refused: '?',
  locked: '?',
}

/** Only what `apply` would change (`+`), what it cannot (`~`), and what could not be seen (`?`). */
function tellDifferences(items: readonly Item[], json: boolean): void {
  if (json) return console.log(JSON.stringify({ items }, null, 2))
  for (const { what, state, detail } of items) {
    if (state !== 'ok') console.log(`${signs[state]} ${what}: ${detail}`)
  }
}

function isOfRabbit(error: unknown): error is Error {
  return error instanceof Error && ('code' in error || error.message.startsWith('Handshake'))
}
