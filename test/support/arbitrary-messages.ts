import fc from 'fast-check'
import { kindsOfLog } from '../../shared/domain/entry.ts'
import { reasons } from '../../shared/domain/reasons.ts'

/** Messages of the wire contract, of every form that it allows. */

const count = fc.maxSafeNat()
const seconds = fc.integer({ min: 0, max: 2 ** 33 })
const epoch = fc
  .tuple(fc.integer({ min: 0, max: 10 ** 13 }), fc.stringMatching(/^[a-z0-9]{1,16}$/))
  .map(([term, random]) => `${term}.${random}`)
const tenant = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/).filter((name) => name !== '_all')
const id = fc.string({
  minLength: 1,
  maxLength: 20,
  unit: fc.constantFrom('a', 'b', ' ', '1', 'ï', '字', '"', '\\'),
})
const claim = fc.oneof(
  id,
  fc.boolean(),
  fc.integer(),
  fc.double({ min: -1e9, max: 1e9, noNaN: true }),
)
const claimName = fc.constantFrom(
  'sub',
  'sid',
  'jti',
  'kid',
  'aud',
  'client_id',
  'a.b:c/d-e_f',
  'n',
)
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined })
const shard = fc.integer({ min: 0, max: 1023 })

/** As it is once it has been JSON: without members that are undefined. */
function asJson<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return arbitrary.map((value) => JSON.parse(JSON.stringify(value)) as T)
}

export const match: fc.Arbitrary<Record<string, unknown>> = asJson(
  fc.dictionary(claimName, claim, { maxKeys: 3, noNullPrototype: true }),
)

const cutoff = fc.record({
  id: fc.stringMatching(/^r[0-9]{1,4}-[0-9]{1,16}-[0-9]{1,16}-[0-9]{1,3}$/),
  issuedBefore: fc.option(seconds, { nil: null }),
  except: optional(match),
})

export const rule: fc.Arbitrary<Record<string, unknown>> = asJson(
  fc.record({
    match,
    cutoffs: optional(fc.array(cutoff, { maxLength: 3 })),
    held: optional(fc.boolean()),
    holdId: optional(id),
    reviewBy: optional(seconds),
    outcome: optional(fc.constantFrom('release', 'revoke')),
    until: fc.option(seconds, { nil: null }),
    reason: optional(fc.constantFrom(...reasons)),
    lifted: optional(fc.array(id, { maxLength: 3 })),
    liftedBefore: optional(count),
    releasedBefore: optional(count),
  }),
)

const expiry = fc.record({
  jti: id,
  sub: optional(id),
  sid: optional(id),
  client_id: optional(id),
  exp: seconds,
  inSeconds: optional(seconds),
})

const place = {
  v: fc.constant(1),
  tenant,
  shard,
  epoch,
  seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  at: count,
  ack: optional(fc.boolean()),
}

export const entry: fc.Arbitrary<Record<string, unknown>> = asJson(
  fc.oneof(
    fc.record({
      ...place,
      log: fc.constant('revocations'),
      kind: fc.constantFrom(...kindsOfLog.revocations),
      events: fc.array(rule, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      ...place,
      log: fc.constant('expiries'),
      kind: fc.constantFrom(...kindsOfLog.expiries),
      events: fc.array(expiry, { minLength: 1, maxLength: 3 }),
    }),
  ),
)

const tail = fc.record({ epoch, seq: count })
const tails = fc.integer({ min: 1, max: 3 }).chain((shards) => {
  const ofLog = fc.array(tail, { minLength: shards, maxLength: shards })
  return fc.record({ revocations: ofLog, expiries: ofLog })
})
const maxTokenTtl = fc.array(fc.record({ from: seconds, seconds }), { minLength: 1, maxLength: 3 })

export const beat: fc.Arbitrary<Record<string, unknown>> = asJson(
  fc.record({ v: fc.constant(1), tenant, at: count, tails, maxTokenTtl }),
)

export const snapshotHead: fc.Arbitrary<Record<string, unknown>> = asJson(
  fc.record({
    v: fc.constant(1),
    tenant: fc.constant('default'),
    at: count,
    epochs: fc.array(epoch, { minLength: 1, maxLength: 3 }),
    tails,
    maxTokenTtl,
    beatMs: optional(fc.integer({ min: 1, max: 60_000 })),
  }),
)

export const snapshotRule: fc.Arbitrary<Record<string, unknown>> = asJson(
  fc.record({ shard, epoch, seq: count, rule }),
)

/** Plain rules in one line; a length for all its arrays. */
export const snapshotRun: fc.Arbitrary<Record<string, unknown>> = asJson(
  fc.integer({ min: 1, max: 4 }).chain((length) => {
    const counts = fc.array(count, { minLength: length, maxLength: length })
    const jtis = fc.array(fc.uuid(), { minLength: length, maxLength: length })
    return fc.record({
      shard,
      epoch,
      reason: fc.constantFrom(...reasons),
      jtis: jtis.map((each) => each.join('')),
      seqs: counts,
      indexes: counts,
      untils: counts,
    })
  }),
)

const handled = fc.record({
  log: fc.constantFrom('revocations', 'expiries'),
  shard,
  epoch,
  upTo: count,
  done: optional(
    fc.dictionary(
      fc.integer({ min: 1, max: 10 ** 12 }).map(String),
      fc.array(fc.integer({ min: 0, max: 499 }), { maxLength: 5 }),
      { maxKeys: 3, noNullPrototype: true },
    ),
  ),
  retrying: optional(
    fc.dictionary(fc.integer({ min: 1, max: 10 ** 12 }).map(String), fc.nat(), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ),
})

const ack = fc.record({
  v: fc.constant(1),
  tenant,
  service: fc.stringMatching(/^[a-z0-9-]{1,40}$/),
  instance: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
  at: count,
  state: fc.constantFrom('joining', 'ready', 'stale', 'leaving'),
  applied: fc.record({
    revocations: fc.array(tail, { maxLength: 3 }),
    expiries: optional(fc.array(tail, { maxLength: 3 })),
  }),
  staleMs: fc.option(count, { nil: null }),
  maxStalenessMs: fc.option(count, { nil: null }),
  handled: optional(fc.array(handled, { maxLength: 2 })),
  handles: optional(
    fc.record({
      kinds: fc.array(fc.constantFrom(...Object.values(kindsOfLog).flat()), {
        minLength: 1,
        maxLength: 6,
      }),
      maxAttempts: fc.integer({ min: 1, max: 100 }),
    }),
  ),
})

/** One ack, or an array of them. */
export const acks: fc.Arbitrary<unknown> = asJson<unknown>(
  fc.oneof(ack, fc.array(ack, { maxLength: 3 })),
)
