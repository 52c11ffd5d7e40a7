import { MANY_TENANTS } from '../domain/ack.ts'
import { kindsOfLog } from '../domain/entry.ts'
import { RETRY_STEPS_MS, type Names } from '../domain/names.ts'
import { ALL_TENANTS, isService, isTenant } from '../domain/tenant.ts'

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
  /** RabbitMQ allows every key of an exchange that is not named here. */
  readonly topics: readonly TopicPermission[]
}

/** Who speaks to RabbitMQ: the deploy step that declares, notifier and poller, or a consuming service and its tenants. */
export type Role =
  | { readonly role: 'deploy' }
  | { readonly role: 'knell' }
  | { readonly role: 'service'; readonly service: string; readonly tenants: readonly string[] }

/** The queues that the broker names itself; Knell's are exclusive to the connection that made them. */
const OWN_QUEUES = 'amq\\.gen-.*'
const ANY_TENANT = '[A-Za-z0-9_-]+'
const ANY_SERVICE = '[a-z0-9-]+'
const STEP = `[1-${RETRY_STEPS_MS.length}]`
const NOTHING = '^$'

function quote(text: string): string {
  return text.replaceAll('.', '\\.')
}

function only(...patterns: string[]): string {
  return `^(${patterns.join('|')})$`
}

/**
 * The least that each role needs. Nobody but the deploy step may declare what lasts under a name of
 * Knell's, nobody may publish past the exchanges, and a service reaches nothing of another service or
 * of a tenant that it does not follow. @throws TypeError where a name is none
 */
export function permissionsOf(names: Names, role: Role): Permissions {
  if (role.role === 'deploy') return deployPermissions(names)
  return role.role === 'knell' ? knellPermissions(names) : servicePermissions(names, role)
}

/** It declares and binds, but neither publishes nor reads the dead letters. */
function deployPermissions(names: Names): Permissions {
  const [revocations, expiries] = [quote(names.revocations), quote(names.expiries)]
  const [control, retry, dead] = [quote(names.control), quote(names.retry), quote(names.dead)]
  const queue = `${quote(names.namespace)}\\.service\\.${ANY_SERVICE}`
  const queues = `${queue}(\\.retry\\.${STEP}|\\.dead)?`
  const silent = [names.retry, names.dead].map((exchange) => ({
    exchange,
    write: NOTHING,
    read: `^${ANY_SERVICE}(\\.(${STEP}|now|resend))?$`,
  }))
  return {
    permission: {
      configure: only(revocations, expiries, control, retry, dead, queues),
      // To declare a queue with a dead-letter exchange takes reading the one and writing to the other.
      write: only(retry, dead, queues),
      read: only(revocations, expiries, retry, dead, `${queue}(\\.retry\\.${STEP})?`),
    },
    topics: silent,
  }
}

function knellPermissions(names: Names): Permissions {
  const [revocations, expiries] = [quote(names.revocations), quote(names.expiries)]
  const [control, retry, dead] = [quote(names.control), quote(names.retry), quote(names.dead)]
  const queue = `${quote(names.namespace)}\\.service\\.${ANY_SERVICE}`
  const entries = (exchange: string, kinds: readonly string[], read: string): TopicPermission => ({
    exchange,
    write: `^${ANY_TENANT}\\.(${kinds.join('|')})$`,
    read,
  })
  return {
    permission: {
      // An exclusive queue of this name is the lock on a service's dead letters.
      configure: only(OWN_QUEUES, `${queue}\\.dead\\.lock`),
      // Some right on a service's queue is what newer RabbitMQ wants before it says how full it is.
      write: only(OWN_QUEUES, revocations, expiries, control, retry, dead, queue),
      // A notifier hears what is published, to measure how long that takes.
      read: only(OWN_QUEUES, revocations, control, `${queue}\\.dead`),
    },
    topics: [
      entries(names.revocations, kindsOfLog.revocations, '^\\*\\.\\*$'),
      entries(names.expiries, kindsOfLog.expiries, NOTHING),
      {
        exchange: names.control,
        write: `^${ANY_TENANT}\\.beat$`,
        read: '^\\*\\.(beat|ack\\.\\*)$',
      },
      { exchange: names.retry, write: `^${ANY_SERVICE}\\.(now|resend)$`, read: NOTHING },
      { exchange: names.dead, write: `^${ANY_SERVICE}$`, read: NOTHING },
    ],
  }
}

function servicePermissions(
  names: Names,
  { service, tenants }: { readonly service: string; readonly tenants: readonly string[] },
): Permissions {
  // A name goes into regular expressions as it is.
  if (!isService(service)) throw new TypeError(`"${String(service)}" is no name of a service.`)
  for (const tenant of tenants) {
    if (!isTenant(tenant)) throw new TypeError(`"${String(tenant)}" is no name of a tenant.`)
  }
  if (tenants.length === 0) throw new TypeError(`The service "${service}" follows no tenant.`)
  const [revocations, expiries] = [quote(names.revocations), quote(names.expiries)]
  const [control, retry, dead] = [quote(names.control), quote(names.retry), quote(names.dead)]
  const queue = `${quote(names.namespace)}\\.service\\.${service}`
  const tenant = `(${tenants.join('|')})`
  // A common message may name any tenant inside, so it is for those only who need it.
  const acked = tenants.length > MANY_TENANTS ? [...tenants, ALL_TENANTS] : tenants
  const entries = (exchange: string, kinds: readonly string[]): TopicPermission => ({
    exchange,
    write: NOTHING,
    read: `^${tenant}\\.(\\*|${kinds.join('|')})$`,
  })
  return {
    permission: {
      configure: only(OWN_QUEUES),
      write: only(OWN_QUEUES, queue, control, retry, dead),
      read: only(OWN_QUEUES, queue, revocations, expiries, control),
    },
    topics: [
      entries(names.revocations, kindsOfLog.revocations),
      entries(names.expiries, kindsOfLog.expiries),
      {
        exchange: names.control,
        write: `^(${acked.join('|')})\\.ack\\.${service}$`,
        read: `^${tenant}\\.beat$`,
      },
      // `now` is for what a colleague is to take: an instance may lack the handler for a kind.
      { exchange: names.retry, write: `^${service}\\.(${STEP}|now)$`, read: NOTHING },
      { exchange: names.dead, write: `^${service}$`, read: NOTHING },
    ],
  }
}
