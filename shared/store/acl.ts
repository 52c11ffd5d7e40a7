/**
 * The rules of the Redis user that notifiers and pollers share (`ACL SETUSER <name> …`): their own
 * keys, the commands of data and scripts, and none that could empty, reconfigure or copy the store.
 * No subscriber needs Redis.
 */
export function aclRulesOf(namespace: string): readonly string[] {
  return [
    'clearselectors',
    'resetkeys',
    `~${namespace}:*`,
    `~{${namespace}}:*`,
    'resetchannels',
    '-@all',
    '+@read',
    '+@write',
    '+@transaction',
    '-@dangerous',
    // These know no key patterns: they tell of the keys of others.
    '-scan',
    '-randomkey',
    '-dbsize',
    '+eval',
    '+evalsha',
    '+script|load',
    '+info',
    '+time',
    '+ping',
    '+hello',
    '+auth',
    '+select',
    '+client|setname',
    '+cluster|slots',
    '+cluster|shards',
    '+readonly',
    '+readwrite',
    '+asking',
  ]
}
