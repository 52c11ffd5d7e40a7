import { connect } from 'amqplib'
import { NAMESPACE } from '../config/settings.ts'
import { namesOf } from '../domain/names.ts'
import { applyTopology, checkTopology } from './topology/declare.ts'
import { parseOptions } from './topology/options.ts'
import { commandsOf, definitionsOf } from './topology/users.ts'
import { UsageError } from './usage-error.ts'

/**
 * `npm run topology -- <apply|check|permissions>`: declares or checks what lasts in RabbitMQ, or
 * prints users' rights. Exit code 0: done; 1: something is missing, different, refused or away; 2: the
 * command line or the environment is wrong.
 */
async function run(args: readonly string[]): Promise<number> {
  const { action, services, json } = parseOptions(args)
  const { AMQP_URL: url, NAMESPACE: namespace } = process.env
  if (namespace && !NAMESPACE.test(namespace)) {
    throw new UsageError('NAMESPACE must be 1 to 20 characters of a-z, 0-9 and -, a letter first.')
  }
  const names = namesOf(namespace || undefined)
  if (action === 'permissions') {
    const path = url ? new URL(url).pathname.slice(1) : ''
    const vhost = path === '' ? '/' : decodeURIComponent(path)
    console.log(
      json
        ? JSON.stringify(definitionsOf(names, services, vhost), null, 2)
        : commandsOf(names, services, vhost).join('\n'),
    )
    return 0
  }
  if (!url) throw new UsageError('AMQP_URL is not set: amqp:// or amqps:// of the deploy user.')
  const model = await connect(url, { timeout: 5000 })
  model.on('error', () => {})
  try {
    const pass = action === 'apply' ? applyTopology : checkTopology
    const { good, problems } = await pass(model, names, services)
    for (const line of good) console.log(`ok  ${line}`)
    for (const line of problems) console.error(`!!  ${line}`)
    return problems.length === 0 ? 0 : 1
  } finally {
    await model.close().catch(() => {})
  }
}

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  // What RabbitMQ or the network says is for the user; where the fault is ours the stack helps.
  console.error(error instanceof UsageError || isOfRabbit(error) ? (error as Error).message : error)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

function isOfRabbit(error: unknown): boolean {
  return error instanceof Error && ('code' in error || error.message.startsWith('Handshake'))
}
