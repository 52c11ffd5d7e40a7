import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Permissions } from '../../shared/broker/permissions.ts'

/** A RabbitMQ user of a test; its password is its name. */
export interface TestUser extends Permissions {
  readonly name: string
}

/** RabbitMQ's definitions with these users, and `guest` who may do all. */
function definitionsOf(users: readonly TestUser[]): string {
  const vhost = '/'
  const all = {
    name: 'guest',
    permission: { configure: '.*', write: '.*', read: '.*' },
    topics: [],
  }
  const everyone = [all, ...users]
  return JSON.stringify({
    vhosts: [{ name: vhost }],
    users: everyone.map(({ name }) => ({
      name,
      password: name,
      tags: name === 'guest' ? 'administrator' : '',
    })),
    permissions: everyone.map(({ name: user, permission }) => ({ user, vhost, ...permission })),
    topic_permissions: everyone.flatMap(({ name: user, topics }) =>
      topics.map((topic) => ({ user, vhost, ...topic })),
    ),
  })
}

/** The argument with which RabbitMQ reads definitions at its start: a list of characters, since quotes do not survive its scripts. */
export async function definitionsArgument(users: readonly TestUser[]): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'knell-definitions-')), 'definitions.json')
  await writeFile(file, definitionsOf(users))
  return `-rabbit load_definitions [${[...Buffer.from(file)].join(',')}]`
}
