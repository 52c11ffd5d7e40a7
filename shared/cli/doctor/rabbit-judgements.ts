import type { Permissions } from '../../broker/permissions.ts'
import type { Names } from '../../domain/names.ts'
import { exchangesOf } from '../../broker/topology.ts'
import { policiesOf } from '../topology/policies.ts'
import { failure, ok, warning, type Finding } from './finding.ts'
import { heardBy, type RabbitFacts, type SeenThing } from './rabbit-facts.ts'

/** These want the right to configure even for a passive declaration. */
const AWKWARD: ReadonlySet<string> = new Set(['4.2.6', '4.3.0'])

/** 3.10 to 4.x is what the topology is made for. */
export function judgeRabbitVersion(version: string): Finding {
  const [major = NaN, minor = 0] = version.split('.').map(Number)
  const found = `RabbitMQ ${version}`
  if (Number.isNaN(major)) return warning(found, 'Use RabbitMQ 3.10 to 4.x.')
  if (major < 3 || (major === 3 && minor < 10)) return failure(found, 'Use RabbitMQ 3.10 to 4.x.')
  if (major > 4) return warning(`${found}, which is not known yet`, 'Use RabbitMQ 3.10 to 4.x.')
  return AWKWARD.has(version)
    ? warning(
        `${found}, which wants the right to configure even to look at an exchange`,
        'Use a later version, or let the deploy user’s rights stand for all.',
      )
    : ok(found)
}

/** What is missing is declared by the deploy step; what differs only somebody can mend. */
export function judgeThings(things: readonly SeenThing[], none: string): Finding {
  if (things.length === 0) return ok(none)
  const of = (...seen: readonly SeenThing['seen'][]): readonly SeenThing[] =>
    things.filter((thing) => seen.includes(thing.seen))
  const different = of('different')
  const [first] = different
  if (first !== undefined) {
    return failure(
      `${list(different)}: not as it should be. ${first.said}`,
      'See "knell topology diff": delete it and run "knell topology apply".',
    )
  }
  const missing = of('missing')
  if (missing.length > 0) {
    return failure(`missing: ${list(missing)}`, 'Run "knell topology apply" as the deploy user.')
  }
  const refused = of('refused')
  if (refused.length > 0) {
    return warning(
      `${list(refused)}: this user may not look`,
      'Run the doctor as the user of notifiers and pollers, or as the deploy user.',
    )
  }
  const unseen = of('unseen').length
  return ok(
    unseen === 0
      ? `${things.length} as they should be`
      : `${things.length} there; this user may not look closer at ${unseen}`,
  )
}

function list(things: readonly SeenThing[]): string {
  const names = things.slice(0, 5).map(({ name }) => name)
  const rest = things.length - names.length
  return names.join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

/** What the user of notifiers and pollers must be able to do. */
export function judgeRights(
  { user, refused, mayDeclare, management }: RabbitFacts,
  names: Names,
): Finding {
  const lacking = management?.rights === undefined ? [] : lackingOf(management.rights, names)
  const problems = [...refused, ...(lacking.length > 0 ? [`it may not ${lacking.join(', ')}`] : [])]
  if (problems.length > 0) {
    return failure(
      `${user}: ${problems.join('; ')}`,
      'Set what "knell topology permissions" prints.',
    )
  }
  const much = mayDeclare ? '; it may declare as well, which only a deploy user needs' : ''
  const sure = management?.rights === undefined ? '; what it may publish is not told' : ''
  return ok(`${user} may do what notifiers and pollers do${much}${sure}`)
}

/** What a notifier or poller does, by an example of each, and these rights do not allow. */
export function lackingOf({ permission, topics }: Permissions, names: Names): readonly string[] {
  const own = 'amq.gen-knell'
  const dead = `${names.namespace}.service.orders.dead`
  const needs: readonly (readonly [keyof Permissions['permission'], string])[] = [
    ['configure', own],
    ['configure', `${dead}.lock`],
    ['write', own],
    ...exchangesOf(names).map((exchange) => ['write', exchange] as const),
    ['read', own],
    ['read', names.control],
    ['read', names.revocations],
    ['read', dead],
  ]
  const keys: readonly [exchange: string, key: string][] = [
    [names.revocations, 'default.revoked'],
    [names.expiries, 'default.expired'],
    [names.control, 'default.beat'],
    [names.retry, 'orders.now'],
    [names.dead, 'orders'],
  ]
  return [
    ...needs
      .filter(([right, name]) => !allows(permission[right], name))
      .map((need) => need.join(' ')),
    ...keys
      .filter(([exchange, key]) =>
        topics.some((topic) => topic.exchange === exchange && !allows(topic.write, key)),
      )
      .map(([exchange, key]) => `publish ${key} to ${exchange}`),
    ...heardBy(names)
      .filter(([exchange, key]) =>
        topics.some((topic) => topic.exchange === exchange && !allows(topic.read, key)),
      )
      .map(([exchange, key]) => `bind ${exchange} by ${key}`),
  ]
}

function allows(pattern: string, name: string): boolean {
  // An empty pattern allows nothing, as RabbitMQ reads it.
  if (pattern === '') return false
  try {
    return new RegExp(pattern).test(name)
  } catch {
    // A regular expression of RabbitMQ's own kind is not for us to judge.
    return true
  }
}

/** Policies lower bounds while queues live; without them the queues' own arguments hold. */
export function judgePolicies({ management }: RabbitFacts, names: Names): Finding {
  const policies = management?.policies
  if (policies === undefined) {
    return ok(
      'not told; the queues’ own arguments are upper bounds (RABBITMQ_MANAGEMENT_URL tells)',
    )
  }
  const wanted = policiesOf(names)
  const missing = wanted.filter(({ name }) => !policies.has(name)).map(({ name }) => name)
  const other = wanted.flatMap(({ name, pattern }) => {
    const found = policies.get(name)
    return found === undefined || found['pattern'] === pattern ? [] : [name]
  })
  const fix = 'Set what "knell topology permissions" prints.'
  if (other.length > 0) return warning(`for other queues than thought: ${other.join(', ')}`, fix)
  return missing.length > 0
    ? warning(`missing: ${missing.join(', ')}`, fix)
    : ok(`${wanted.length} policies`)
}
