import type { GateName } from './gates.ts'

/** One line of the table. */
export interface Plan {
  readonly name: string
  readonly title: string
  readonly gate: GateName
  /** How a token is killed: by a key in the list, or by a rule on its `jti` or its `kid`. */
  readonly kill?: 'list' | 'jti' | 'kid'
  /** A death is noticed when the cache asks again. */
  readonly isLate?: boolean
}

/** In the order of the table. */
export const plans: readonly Plan[] = [
  { name: 'expiry', title: 'expiry alone', gate: 'expiry' },
  { name: 'refresh', title: 'short life + refresh', gate: 'refresh' },
  { name: 'redis', title: 'Redis list per request', gate: 'redis', kill: 'list' },
  { name: 'cached', title: 'Redis list + local cache', gate: 'cached', kill: 'list', isLate: true },
  { name: 'check', title: 'the store per request', gate: 'check', kill: 'jti' },
  { name: 'introspect', title: 'introspection per request', gate: 'introspect', kill: 'jti' },
  { name: 'stateful', title: 'stateful introspection', gate: 'stateful', kill: 'jti' },
  { name: 'pull', title: 'Knell view, pull only', gate: 'pull', kill: 'jti' },
  { name: 'view', title: 'Knell view, push', gate: 'view', kill: 'jti' },
  { name: 'key', title: 'Knell view, key revoked', gate: 'view', kill: 'kid' },
]
