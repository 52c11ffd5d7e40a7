import { permissionsOf, type Permissions } from '../../broker/permissions.ts'
import type { Names } from '../../domain/names.ts'
import { aclRulesOf } from '../../store/acl.ts'
import type { ServiceOption } from './options.ts'
import { policiesOf } from './policies.ts'

/** Stands for a secret, and is refused by Redis as it stands. */
const PASSWORD = '#<sha256 of the password, in hex>'

/** A RabbitMQ user and what it is for. */
interface User extends Permissions {
  readonly name: string
  readonly purpose: string
}

function usersOf(names: Names, services: readonly ServiceOption[]): readonly User[] {
  const { namespace } = names
  return [
    {
      name: `${namespace}.deploy`,
      purpose: 'the deploy step, that runs "topology apply"',
      ...permissionsOf(names, { role: 'deploy' }),
    },
    {
      name: namespace,
      purpose: 'notifiers and pollers',
      ...permissionsOf(names, { role: 'knell' }),
    },
    ...services.map(({ service, tenants }) => ({
      name: `${namespace}.service.${service}`,
      purpose: `the service ${service}, of ${tenants.join(', ')}`,
      ...permissionsOf(names, { role: 'service', service, tenants }),
    })),
  ]
}

/** RabbitMQ's definitions, to be imported once the users are there: users are left out, since importing them sets their passwords. */
export function definitionsOf(
  names: Names,
  services: readonly ServiceOption[],
  vhost: string,
): Readonly<Record<string, readonly object[]>> {
  const users = usersOf(names, services)
  return {
    permissions: users.map(({ name: user, permission }) => ({ user, vhost, ...permission })),
    topic_permissions: users.flatMap(({ name: user, topics }) =>
      topics.map((topic) => ({ user, vhost, ...topic })),
    ),
    policies: policiesOf(names).map((policy) => ({
      vhost,
      'apply-to': 'queues',
      priority: 0,
      ...policy,
    })),
  }
}

/** The same as commands for a shell, with the user of Redis. Secrets are not among them. */
export function commandsOf(
  names: Names,
  services: readonly ServiceOption[],
  vhost: string,
): readonly string[] {
  const inVhost = ['-p', vhost]
  const lines = usersOf(names, services).flatMap(({ name, purpose, permission, topics }) => {
    const { configure, write, read } = permission
    return [
      `# ${purpose}`,
      // It asks for the password, or reads it from standard input.
      shell('rabbitmqctl', 'add_user', name),
      shell('rabbitmqctl', 'set_permissions', ...inVhost, name, configure, write, read),
      ...topics.map((topic) => {
        const rights = [name, topic.exchange, topic.write, topic.read]
        return shell('rabbitmqctl', 'set_topic_permissions', ...inVhost, ...rights)
      }),
    ]
  })
  const policies = policiesOf(names).map(({ name, pattern, definition }) => {
    const what = [name, pattern, JSON.stringify(definition)]
    return shell('rabbitmqctl', 'set_policy', ...inVhost, '--apply-to', 'queues', ...what)
  })
  const { namespace } = names
  const acl = ['ACL', 'SETUSER', namespace, 'on', PASSWORD, ...aclRulesOf(namespace)]
  return [
    ...lines,
    '# bounds that may change while the queues live',
    ...policies,
    '# Redis: notifiers and pollers',
    shell('redis-cli', ...acl),
  ]
}

function shell(...words: readonly string[]): string {
  return words
    .map((word) => (/^[\w.,:/+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ')
}
