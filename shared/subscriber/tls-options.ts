import { createTlsClient, type TlsClient } from '../tls/tls-client.ts'
import { problemsOfIdentity } from '../tls/tls-identity.ts'
import { isRecord } from '../domain/entry.ts'

/** Whom to trust and what to show, in PEM: the content of files, not their paths. */
export interface TlsInput {
  /** The authorities that are trusted, instead of those that Node trusts (`NODE_EXTRA_CA_CERTS` included). */
  readonly ca?: string | Buffer
  /** The client's own certificate, for servers that ask for one; with `key`. */
  readonly cert?: string | Buffer
  /** Its private key, not encrypted. */
  readonly key?: string | Buffer
}

/** Towards RabbitMQ, and towards notifiers and pollers. */
export interface TlsOptions {
  readonly amqp?: TlsInput
  readonly pull?: TlsInput
}

const SIDES = ['amqp', 'pull'] as const
const MEMBERS = ['ca', 'cert', 'key'] as const

/** How to speak TLS to each side. What is wrong goes to `problems`. */
export function settleTls(
  given: unknown,
  problems: string[],
): Partial<Record<keyof TlsOptions, TlsClient>> {
  if (given === undefined) return {}
  if (!isRecord(given)) {
    problems.push('tls must be an object with amqp and pull')
    return {}
  }
  for (const name of Object.keys(given)) {
    if (!(SIDES as readonly string[]).includes(name)) problems.push(`tls.${name} is not an option`)
  }
  const clients: Partial<Record<keyof TlsOptions, TlsClient>> = {}
  for (const side of SIDES) {
    if (given[side] === undefined) continue
    const client = settleSide(given[side], `tls.${side}`, problems)
    if (client) clients[side] = client
  }
  return clients
}

function settleSide(given: unknown, where: string, problems: string[]): TlsClient | undefined {
  const found: string[] = []
  const identity: Partial<Record<(typeof MEMBERS)[number], string>> = {}
  if (!isRecord(given)) found.push(`${where} must be an object with ca, cert and key`)
  for (const [name, value] of Object.entries(isRecord(given) ? given : {})) {
    const member = MEMBERS.find((one) => one === name)
    if (member === undefined) found.push(`${where}.${name} is not an option`)
    else if (typeof value === 'string' || Buffer.isBuffer(value)) {
      identity[member] = value.toString()
    } else if (value !== undefined) found.push(`${where}.${name} must be PEM`)
  }
  if (found.length === 0) {
    found.push(
      ...problemsOfIdentity(identity).map(
        ({ member, problem }) => `${where}.${member}: ${problem}`,
      ),
    )
  }
  problems.push(...found)
  return found.length === 0 ? createTlsClient(identity) : undefined
}
