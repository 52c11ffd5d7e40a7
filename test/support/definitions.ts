import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Permissions } from '../../shared/broker/permissions.ts'

/** A RabbitMQ user of a test; its password is its name. */
export interface TestUser extends Permissions {
  readonly name: string
}

/** Definitions that a command has printed, and the names of their users. */
interface Printed {
  readonly users: readonly string[]
  readonly printed: Readonly<Record<string, readonly object[]>>
}

/** RabbitMQ's definitions with these users, and `guest` who may do all. */
function definitionsOf(users: readonly TestUser[], more?: Printed): string {
  const vhost = '/'
  const all = {
    name: 'guest',
    permission: { configure: '.*', write: '.*', read: '.*' },
    topics: [],
  }
  const everyone = [all, ...users]
  return JSON.stringify({
    vhosts: [{ name: vhost }],
    policies: more?.printed['policies'] ?? [],
    users: [...everyone, ...(more?.users ?? []).map((name) => ({ name }))].map(({ name }) => ({
      name,
      password: name,
      tags: name === 'guest' ? 'administrator' : '',
    })),
    permissions: [
      ...everyone.map(({ name: user, permission }) => ({ user, vhost, ...permission })),
      ...(more?.printed['permissions'] ?? []),
    ],
    topic_permissions: [
      ...everyone.flatMap(({ name: user, topics }) =>
        topics.map((topic) => ({ user, vhost, ...topic })),
      ),
      ...(more?.printed['topic_permissions'] ?? []),
    ],
  })
}

/** The argument with which RabbitMQ reads definitions at its start: a list of characters, since quotes do not survive its scripts. */
export async function definitionsArgument(
  users: readonly TestUser[],
  more?: Printed,
): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'knell-definitions-')), 'definitions.json')
  await writeFile(file, definitionsOf(users, more))
  return `-rabbit load_definitions [${[...Buffer.from(file)].join(',')}]`
}
