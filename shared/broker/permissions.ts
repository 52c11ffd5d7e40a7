import type { Names } from '../domain/names.ts'
import { ALL_TENANTS } from '../domain/tenant.ts'

/** What a RabbitMQ user may do: regular expressions on the names of exchanges and queues. */
export interface Permission {
  readonly configure: string
  readonly write: string
  readonly read: string
}

/** What a RabbitMQ user may do with the routing keys of one topic exchange. Binding keys are matched as plain text. */
export interface TopicPermission {
  readonly exchange: string
  readonly write: string
  readonly read: string
}

export interface Permissions {
  readonly permission: Permission
  readonly topics: readonly TopicPermission[]
}

/** Who speaks to RabbitMQ: the deploy step that declares, notifier and poller, or a consuming service and its tenants. */
export type Role =
  | { readonly role: 'deploy' }
  | { readonly role: 'knell' }
  | { readonly role: 'service'; readonly service: string; readonly tenants: readonly string[] }

/** The queues that the broker names itself; each is exclusive to the connection that made it. */
const OWN_QUEUES = 'amq\\.gen.*'

function quote(text: string): string {
  return text.replaceAll('.', '\\.')
}

function only(...patterns: string[]): string {
  return `^(${patterns.join('|')})$`
}

/**
 * The least that each role needs. Nobody but the deploy step may declare what lasts, nobody may publish
 * past the exchanges, and a service reaches nothing of another service or of a tenant that it does not follow.
 */
export function permissionsOf(names: Names, role: Role): Permissions {
  const space = quote(names.namespace)
  if (role.role === 'deploy') {
    const all = only(`${space}\\..*`)
    return { permission: { configure: all, write: all, read: all }, topics: [] }
  }
  const [revocations, expiries] = [quote(names.revocations), quote(names.expiries)]
  const [control, retry, dead] = [quote(names.control), quote(names.retry), quote(names.dead)]
  if (role.role === 'knell') {
    const deadLetters = `${space}\\.service\\.[a-z0-9-]+\\.dead`
    return {
      permission: {
        // An exclusive queue of this name is the lock on a service's dead letters.
        configure: only(OWN_QUEUES, `${deadLetters}\\.lock`),
        write: only(OWN_QUEUES, revocations, expiries, control, retry, dead),
        read: only(OWN_QUEUES, control, deadLetters),
      },
      topics: [
        {
          exchange: names.control,
          write: '^[A-Za-z0-9_-]+\\.beat$',
          read: '^\\*\\.(beat|ack\\.\\*)$',
        },
      ],
    }
  }
  const { service, tenants } = role
  const queue = `${space}\\.service\\.${service}`
  const tenant = `(${tenants.join('|')})`
  return {
    permission: {
      configure: only(OWN_QUEUES),
      write: only(OWN_QUEUES, queue, control, retry, dead),
      read: only(OWN_QUEUES, queue, revocations, expiries, control),
    },
    topics: [
      { exchange: names.revocations, write: '^$', read: `^${tenant}\\.[a-z*]+$` },
      { exchange: names.expiries, write: '^$', read: `^${tenant}\\.[a-z*]+$` },
      {
        exchange: names.control,
        write: `^(${[...tenants, ALL_TENANTS].join('|')})\\.ack\\.${service}$`,
        read: `^${tenant}\\.beat$`,
      },
      { exchange: names.retry, write: `^${service}\\.[a-z0-9]+$`, read: '^$' },
      { exchange: names.dead, write: `^${service}$`, read: '^$' },
    ],
  }
}
