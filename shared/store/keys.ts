import type { Log } from '../domain/position.ts'

/** The keys of one shard of one tenant. They share a Redis Cluster hash tag, so one script may touch any of them. */
export interface ShardKeys {
  readonly tenant: string
  readonly shard: number
  /** Hash: epoch, server identity, last recorded time, tails, trim marks; in shard 0 also the beat claim and the token life. */
  readonly meta: string
  /** Hash: canonical match text → rule. */
  readonly rules: string
  /** Sorted set: canonical match text by `until`. */
  readonly until: string
  /** Hash: id of a revocation → canonical match text. */
  readonly ids: string
  /** Hash: the matches of live rules that name `kid`: a check without a header must know of them. */
  readonly kids: string
  /** Sorted set: the matches that are held, by `reviewBy`. */
  readonly holds: string
  /** Hash: id of a schedule → what is to be done, as JSON. */
  readonly schedules: string
  /** Sorted set: ids of schedules by `at`. */
  readonly scheduled: string
  /** Stream per log: `<term>-<seq>` → body. */
  readonly feed: Readonly<Record<Log, string>>
  /** Sorted set per log: positions not yet confirmed by RabbitMQ, by time of the last try. */
  readonly unsent: Readonly<Record<Log, string>>
  /** Sorted set: the non-empty seconds of the wheel. */
  readonly wheel: string
  /** Stream: what was done to this shard, by whom and why. */
  readonly audit: string
  /** Stream in shard 0: what callers can cause without limit, such as refused attempts. Bounded for itself, so that it pushes no record of a change out. */
  readonly traffic: string
  /** Stream in shard 0: bulk registrations, apart from what is refused and as bounded. */
  readonly bulk: string
  /** Sorted set in shard 0: shapes in use, by `until`. */
  readonly shapes: string
  /** Hash in shard 0: `<service> <instance>` → what is known of it from its joining on. */
  readonly instances: string
  /** Hash in shard 0: `<service> <instance>` → what it last said to have applied. */
  readonly applied: string
  /** Sorted set in shard 0: `<service> <instance>` by the store's time (ms) at which it was last heard of. */
  readonly seen: string
  /** Hash in shard 0: services with handlers. */
  readonly services: string
  /** String in shard 0: the tenant's signing keys, private parts encrypted. */
  readonly ring: string
  /** Hash: how far the feed of this shard has been judged for a service, per log. */
  marks(service: string): string
  /** Hash per log: what a service's handlers reported of entries not yet judged, and of holes. */
  handled(service: string, log: Log): string
  /** Sorted set per log: a service's holes, by the time (ms) of the next try. */
  holes(service: string, log: Log): string
  /** Hash: the tokens due in one second. */
  second(second: number): string
  /** Hash: a family of refresh tokens, by its id. */
  family(id: string): string
  /** String: the id of the family that lives under a `sid`, by the digest of it. */
  familyOf(digest: string): string
  /** String: the answers of a commit, kept for a minute. */
  commit(id: string): string
  /** String: the answer to a request with an idempotency key, kept for 10 minutes. */
  idempotency(key: string): string
}

export interface KeySpace {
  shard(tenant: string, shard: number): ShardKeys
  /** Hash: schema version and number of shards. */
  readonly facts: string
  /** Sorted set: `<tenant>.<shard>` by the first second at which a hold or schedule there is due. Only a hint: the sweep looks everywhere. */
  readonly due: string
  /** Sorted set: reports of sweeps by time. */
  readonly sweeps: string
  /** Hash: a session of the dashboard, by the digest of what its cookie holds. */
  session(digest: string): string
  /** Sorted set: the digests of the sessions of one API key, by when each ends (ms). */
  sessionsOf(apiKey: string): string
  /** Counter: the sweeps that have begun. */
  readonly sweepsBegun: string
  /** Streams as a shard's, of what concerns no single tenant. */
  readonly audit: string
  readonly traffic: string
  readonly bulk: string
  /** Stream: logins to the dashboard, and logouts. */
  readonly logins: string
  /** The oldest record that was left when one had to go from `audit` for room. */
  readonly auditCut: string
  /** The prefix of every BullMQ key. */
  readonly bull: string
}

/** Every Redis key of Knell begins with the namespace, in braces for BullMQ's. */
export function keySpaceOf(namespace: string): KeySpace {
  const cache = new Map<string, ShardKeys>()
  return {
    facts: `${namespace}:{store}:facts`,
    due: `${namespace}:{store}:due`,
    sweeps: `${namespace}:{store}:sweeps`,
    session: (digest) => `${namespace}:{store}:ops:${digest}`,
    sessionsOf: (apiKey) => `${namespace}:{store}:ops:of:${apiKey}`,
    sweepsBegun: `${namespace}:{store}:sweeps:begun`,
    audit: `${namespace}:{store}:audit`,
    traffic: `${namespace}:{store}:traffic`,
    bulk: `${namespace}:{store}:bulk`,
    logins: `${namespace}:{store}:logins`,
    auditCut: `${namespace}:{store}:auditcut`,
    bull: `{${namespace}}`,
    shard(tenant, shard) {
      const tag = `${tenant}.${shard}`
      let keys = cache.get(tag)
      if (keys === undefined) {
        const base = `${namespace}:{${tag}}:`
        keys = {
          tenant,
          shard,
          meta: `${base}meta`,
          rules: `${base}rules`,
          until: `${base}until`,
          ids: `${base}ids`,
          kids: `${base}kids`,
          holds: `${base}holds`,
          schedules: `${base}schedules`,
          scheduled: `${base}scheduled`,
          feed: { revocations: `${base}feed:r`, expiries: `${base}feed:e` },
          unsent: { revocations: `${base}unsent:r`, expiries: `${base}unsent:e` },
          wheel: `${base}wheel`,
          audit: `${base}audit`,
          traffic: `${base}traffic`,
          bulk: `${base}bulk`,
          shapes: `${base}shapes`,
          instances: `${base}instances`,
          applied: `${base}applied`,
          seen: `${base}seen`,
          services: `${base}services`,
          ring: `${base}ring`,
          marks: (service) => `${base}s:${service}:marks`,
          handled: (service, log) =>
            `${base}s:${service}:handled:${log === 'revocations' ? 'r' : 'e'}`,
          holes: (service, log) => `${base}s:${service}:holes:${log === 'revocations' ? 'r' : 'e'}`,
          second: (second) => `${base}w:${second}`,
          family: (id) => `${base}f:${id}`,
          familyOf: (digest) => `${base}fs:${digest}`,
          commit: (id) => `${base}c:${id}`,
          idempotency: (key) => `${base}i:${key}`,
        }
        cache.set(tag, keys)
      }
      return keys
    },
  }
}
