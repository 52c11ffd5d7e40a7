import { expect } from 'chai'
import { permissionsOf } from '../../../shared/broker/permissions.ts'
import { runChecks, type Level } from '../../../shared/cli/doctor/finding.ts'
import type { RabbitFacts, SeenThing } from '../../../shared/cli/doctor/rabbit-facts.ts'
import * as rabbit from '../../../shared/cli/doctor/rabbit-judgements.ts'
import { toInfo, type RedisFacts } from '../../../shared/cli/doctor/redis-facts.ts'
import * as redis from '../../../shared/cli/doctor/redis-judgements.ts'
import { policiesOf } from '../../../shared/cli/topology/policies.ts'
import { namesOf } from '../../../shared/domain/names.ts'

const good: RedisFacts = {
  info: new Map([
    ['redis_version', '7.0.15'],
    ['maxmemory_policy', 'noeviction'],
    ['aof_enabled', '1'],
    ['aof_last_write_status', 'ok'],
    ['maxmemory', '1000'],
    ['used_memory', '100'],
    ['role', 'master'],
    ['connected_slaves', '0'],
  ]),
  config: new Map([
    ['appendfsync', 'always'],
    ['min-replicas-to-write', '1'],
    ['hash-max-listpack-entries', '500'],
    ['hash-max-listpack-value', '128'],
  ]),
  skewMs: 0,
  uncertainMs: 0.5,
  pings: [0.2],
  shards: 4,
}

const info = (name: string, value: string): RedisFacts => ({
  ...good,
  info: new Map([...good.info, [name, value]]),
})
const config = (name: string, value?: string): RedisFacts => {
  const changed = new Map(good.config)
  if (value === undefined) changed.delete(name)
  else changed.set(name, value)
  return { ...good, config: changed }
}

describe('what the doctor says of Redis', () => {
  const rows: readonly (readonly [
    what: string,
    level: Level,
    found: { level: Level; fix?: string },
  ])[] = [
    ['version 7.0', 'ok', redis.judgeRedisVersion(info('redis_version', '7.0.0'))],
    ['version 6.2', 'failure', redis.judgeRedisVersion(info('redis_version', '6.2.19'))],
    ['version 8', 'ok', redis.judgeRedisVersion(info('redis_version', '8.2.1'))],
    ['no version', 'failure', redis.judgeRedisVersion(info('redis_version', ''))],
    ['noeviction', 'ok', redis.judgePolicy(good)],
    ['allkeys-lru', 'failure', redis.judgePolicy(info('maxmemory_policy', 'allkeys-lru'))],
    ['appendfsync always', 'ok', redis.judgePersistence(good)],
    ['appendfsync everysec', 'ok', redis.judgePersistence(config('appendfsync', 'everysec'))],
    ['appendfsync no', 'warning', redis.judgePersistence(config('appendfsync', 'no'))],
    ['appendfsync unknown', 'ok', redis.judgePersistence(config('appendfsync'))],
    ['no append-only file', 'failure', redis.judgePersistence(info('aof_enabled', '0'))],
    ['a full disk', 'failure', redis.judgePersistence(info('aof_last_write_status', 'err'))],
    ['no maxmemory', 'warning', redis.judgeMemory(info('maxmemory', '0'))],
    ['70 % of memory', 'ok', redis.judgeMemory(info('used_memory', '700'))],
    ['71 % of memory', 'warning', redis.judgeMemory(info('used_memory', '701'))],
    ['80 % of memory', 'warning', redis.judgeMemory(info('used_memory', '800'))],
    ['81 % of memory', 'failure', redis.judgeMemory(info('used_memory', '801'))],
    ['a replica', 'failure', redis.judgeReplication(info('role', 'slave'))],
    ['no replicas', 'ok', redis.judgeReplication(good)],
    ['replicas that are waited for', 'ok', redis.judgeReplication(info('connected_slaves', '2'))],
    [
      'replicas that nobody waits for',
      'warning',
      redis.judgeReplication({
        ...info('connected_slaves', '2'),
        config: new Map([['min-replicas-to-write', '0']]),
      }),
    ],
    ['999 ms of skew', 'ok', redis.judgeSkew({ ...good, skewMs: 999.9, uncertainMs: 0 })],
    ['1 s of skew', 'warning', redis.judgeSkew({ ...good, skewMs: -1000, uncertainMs: 0 })],
    ['10 s of skew', 'failure', redis.judgeSkew({ ...good, skewMs: 10_000, uncertainMs: 0 })],
    ['skew or a slow network', 'ok', redis.judgeSkew({ ...good, skewMs: 1500, uncertainMs: 600 })],
    ['4.9 ms of latency', 'ok', redis.judgeLatency({ ...good, pings: [4.9, 0, 900] })],
    ['5 ms of latency', 'warning', redis.judgeLatency({ ...good, pings: [5] })],
    ['100 ms of latency', 'failure', redis.judgeLatency({ ...good, pings: [100] })],
    ['enough listpack', 'ok', redis.judgeListpack(good)],
    ['little listpack', 'warning', redis.judgeListpack(config('hash-max-listpack-entries', '499'))],
    ['listpack unknown', 'ok', redis.judgeListpack(config('hash-max-listpack-value'))],
    ['the right shards', 'ok', redis.judgeShards(good, 4)],
    ['other shards', 'failure', redis.judgeShards(good, 8)],
    ['a new store', 'ok', redis.judgeShards({ ...good, shards: undefined }, 8)],
  ]
  for (const [what, level, found] of rows) {
    it(`calls ${what} ${level}`, () => {
      expect(found.level, JSON.stringify(found)).to.equal(level)
      expect(found.fix !== undefined, 'has a fix').to.equal(level !== 'ok')
    })
  }

  it('reads the fields of INFO', () => {
    const read = toInfo(
      '# Server\r\nredis_version:7.0.15\r\nos:Linux 6: x\r\n\r\n# X\nrole:master\n',
    )
    expect([...read]).to.deep.equal([
      ['redis_version', '7.0.15'],
      ['os', 'Linux 6: x'],
      ['role', 'master'],
    ])
  })
})

describe('what the doctor says of RabbitMQ', () => {
  const names = namesOf()
  const versions: readonly (readonly [string, Level])[] = [
    ['3.9.29', 'failure'],
    ['3.10.0', 'ok'],
    ['3.13.7', 'ok'],
    ['4.2.5', 'ok'],
    ['4.2.6', 'warning'],
    ['4.3.0', 'warning'],
    ['5.0.0', 'warning'],
    ['?', 'warning'],
  ]
  for (const [version, level] of versions) {
    it(`calls version ${version} ${level}`, () => {
      expect(rabbit.judgeRabbitVersion(version).level).to.equal(level)
    })
  }

  it('finds that the rights it prints for notifiers and pollers are enough, and others not', () => {
    const own = permissionsOf(names, { role: 'knell' })
    expect(rabbit.lackingOf(own, names)).to.deep.equal([])
    const all = { permission: { configure: '.*', write: '.*', read: '.*' }, topics: [] }
    expect(rabbit.lackingOf(all, names)).to.deep.equal([])
    const service = permissionsOf(names, {
      role: 'service',
      service: 'orders',
      tenants: ['default'],
    })
    expect(rabbit.lackingOf(service, names))
      .to.include('write knell.revocations')
      .and.include('configure knell.service.orders.dead.lock')
      .and.include('publish default.revoked to knell.revocations')
    const nothing = { permission: { configure: '', write: '', read: '' }, topics: [] }
    expect(rabbit.lackingOf(nothing, names)).to.include('configure amq.gen-knell')
  })

  const facts: RabbitFacts = {
    version: '3.13.0',
    user: 'knell',
    exchanges: [],
    queues: [],
    refused: [],
    mayDeclare: false,
    management: undefined,
  }

  it('names the right that is refused', () => {
    expect(rabbit.judgeRights(facts, names).level).to.equal('ok')
    const refused = rabbit.judgeRights({ ...facts, refused: ['read access refused'] }, names)
    expect(refused).to.include({ level: 'failure' })
    expect(refused.found).to.include('read access refused')
    const rights = { permission: { configure: '', write: '', read: '' }, topics: [] }
    const lacking = rabbit.judgeRights(
      { ...facts, management: { rights, policies: undefined } },
      names,
    )
    expect(lacking.level).to.equal('failure')
  })

  it('calls what differs worse than what is missing, and what it may not see neither', () => {
    const thing = (seen: SeenThing['seen']): SeenThing => ({
      name: `queue ${seen}`,
      seen,
      said: 'why',
    })
    const level = (...seen: SeenThing['seen'][]): Level =>
      rabbit.judgeThings(seen.map(thing), '').level
    expect(level('good', 'unseen')).to.equal('ok')
    expect(level()).to.equal('ok')
    expect(level('good', 'missing')).to.equal('failure')
    expect(level('refused', 'good')).to.equal('warning')
    const found = rabbit.judgeThings([thing('missing'), thing('different')], '')
    expect(found.found).to.include('queue different').and.include('why')
  })

  it('misses policies that are not there, or are for other queues', () => {
    const policies = new Map(policiesOf(names).map((policy) => [policy.name, { ...policy }]))
    const judge = (map: typeof policies): Level =>
      rabbit.judgePolicies({ ...facts, management: { rights: undefined, policies: map } }, names)
        .level
    expect(judge(policies)).to.equal('ok')
    const [first] = policiesOf(names)
    const other = new Map(policies).set(String(first?.name), { ...first!, pattern: '^x' })
    expect(judge(other)).to.equal('warning')
    policies.delete(String(first?.name))
    expect(judge(policies)).to.equal('warning')
    expect(rabbit.judgePolicies(facts, names).level).to.equal('ok')
  })
})

describe('checks', () => {
  it('answer side by side, whatever happens to one of them', async () => {
    const found = await runChecks([
      { part: 'API', check: 'a', fix: 'f', run: () => ({ level: 'ok', found: 'x' }) },
      { part: 'API', check: 'b', fix: 'Mend b.', run: () => Promise.reject(new Error('broken')) },
    ])
    expect(found.map(({ level, found: what, fix }) => [level, what, fix])).to.deep.equal([
      ['ok', 'x', undefined],
      ['failure', 'broken', 'Mend b.'],
    ])
  })
})
