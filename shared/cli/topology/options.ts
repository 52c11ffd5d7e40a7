import { parseArgs } from 'node:util'
import { isKind, kindsOfLog, type Kind } from '../../domain/entry.ts'
import { DEFAULT_TENANT, isService, isTenant } from '../../domain/tenant.ts'
import { UsageError } from '../usage-error.ts'

const actions = ['show', 'apply', 'check', 'diff', 'permissions'] as const
const withJson: readonly Action[] = ['show', 'diff', 'permissions']
export type Action = (typeof actions)[number]

/** A service with what its handlers may handle. */
export interface ServiceOption {
  readonly service: string
  readonly kinds: readonly Kind[]
  readonly tenants: readonly string[]
}

export interface TopologyOptions {
  readonly action: Action
  readonly services: readonly ServiceOption[]
  readonly json: boolean
}

const usage = `Usage: npm run topology -- <${actions.join('|')}> [--service <name>[:kind+kind][@tenant+tenant] ...] [--json]
Without kinds all of them, without tenants "${DEFAULT_TENANT}"; "orders:" (no kind) is a service without handlers.
AMQP_URL and NAMESPACE come from the environment; --json is for ${withJson.join(', ')}.`

function fail(problem: string): never {
  throw new UsageError(`${problem}\n${usage}`)
}

/** Reads `<action> [--service name:kinds@tenants ...] [--json]`. @throws UsageError */
export function parseOptions(args: readonly string[]): TopologyOptions {
  let parsed
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean' }, service: { type: 'string', multiple: true } },
    })
  } catch (error) {
    return fail((error as Error).message)
  }
  const { positionals, values } = parsed
  const action = actions.find((name) => name === positionals[0])
  if (action === undefined || positionals.length !== 1) return fail('Name one thing to do.')
  if (values.json === true && !withJson.includes(action)) return fail(`${action} knows no --json.`)
  const services = (values.service ?? []).map(parseService)
  const twice = services.find(({ service }, i) =>
    services.slice(0, i).some((other) => other.service === service),
  )
  if (twice !== undefined) return fail(`The service "${twice.service}" is named twice.`)
  return { action, services, json: values.json === true }
}

function parseService(text: string): ServiceOption {
  const [head = '', tenantsText, ...more] = text.split('@')
  const [service = '', kindsText, ...others] = head.split(':')
  if (more.length > 0 || others.length > 0 || !isService(service)) {
    return fail(
      `"${text}" is no service: 1 to 40 characters of a-z, 0-9 and -, then kinds, tenants.`,
    )
  }
  const kinds = kindsText === undefined ? Object.values(kindsOfLog).flat() : listOf(kindsText)
  const tenants = tenantsText === undefined ? [DEFAULT_TENANT] : listOf(tenantsText)
  const kind = kinds.find((each) => !isKind(each))
  if (kind !== undefined) return fail(`"${kind}" of "${text}" is no kind of event.`)
  if (!tenants.every(isTenant)) return fail(`A tenant of "${text}" is no name of one.`)
  if (tenants.length === 0) return fail(`"${text}" names no tenant after "@".`)
  return { service, kinds: kinds.filter(isKind), tenants }
}

function listOf(text: string): string[] {
  return text === '' ? [] : [...new Set(text.split('+'))]
}
