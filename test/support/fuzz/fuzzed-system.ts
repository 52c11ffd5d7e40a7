import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { KnellProcess } from '../../../shared/cli/processes.ts'
import type { Subscriber } from '../../../shared/subscriber/index.ts'
import type { Asked } from '../contract-client.ts'
import { createIssuer, type Issuer } from '../issuer.ts'
import { basicOf } from '../oauth.ts'
import { createSamples } from '../sample-calls.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../system.ts'

const CLIENT_SECRET = 'secret-of-a-client-0123'
/** No input is meant for it, so what is revoked there was revoked by the test. */
const APART = 'apart'

export interface FuzzedSystem extends TestSystem {
  readonly issuer: Issuer
  readonly samples: Readonly<Record<string, readonly Asked[]>>
  /** Everything still works: a revocation arrives, and no process has ended or told of a fault. */
  expectAlive(
    processes: readonly KnellProcess[],
    subscriber: Subscriber,
    faults?: RegExp,
  ): Promise<void>
  /** Follows a tenant that no input is meant for. */
  follow(): Promise<Subscriber>
}

/** A system with everything that can be turned on, so that every call reads what it is sent. */
export function createFuzzedSystem(settings: Readonly<Record<string, string>> = {}): FuzzedSystem {
  const folder = mkdtempSync(join(tmpdir(), 'knell-fuzz-'))
  const file = (name: string, value: unknown): string => {
    const path = join(folder, name)
    writeFileSync(path, JSON.stringify(value), { mode: 0o600 })
    return path
  }
  const issuer = createIssuer()
  const { issuer: iss, keys } = issuer.verify
  const tenants = {
    default: { issuer: iss, keys, logoutAudience: ['shop'], expiringLead: ['2s'] },
    other: { issuer: 'https://other.example' },
    [APART]: { issuer: 'https://apart.example' },
  }
  const system = createSystem({
    TENANTS_FILE: file('tenants.json', tenants),
    CLIENTS_FILE: file('clients.json', {
      web: { secret: CLIENT_SECRET, introspect: true },
      app: {},
    }),
    ISSUER_ENABLED: '1',
    KEY_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    LOG_LEVEL: 'info',
    ...settings,
  })
  const basic = basicOf('web', CLIENT_SECRET)
  return {
    ...system,
    issuer,
    samples: withMore(createSamples({ issuer, basic })),
    follow: () => system.subscribe({ service: 'watcher', tenants: [APART] }),
    async expectAlive(processes, subscriber, faults) {
      const sub = `alive-${randomBytes(6).toString('hex')}`
      const claims = { sub, ...oldToken() }
      expect(subscriber.check(claims), 'alive before it is revoked').to.include({ active: true })
      const notifier = processes.find(({ kind }) => kind === 'notifier')
      if (notifier === undefined) throw new Error('A notifier is needed to revoke.')
      const body = { tenant: APART, match: { sub }, reason: 'logout' }
      const told = await call(notifier, system.apiKey, '/v1/revocations', body)
      expect(told.status, JSON.stringify(told.body)).to.equal(201)
      await dies(subscriber, claims)
      expectNoFaults(processes, faults)
      for (const process of processes) {
        const { status } = await call(process, system.apiKey, '/livez')
        expect(status, process.kind).to.equal(200)
      }
    },
    async stop() {
      await system.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** No process has told of a fault of its own, or of its end. */
export function expectNoFaults(
  processes: readonly KnellProcess[],
  faults: RegExp = /"level":(?:50|60)\b/,
): void {
  for (const { kind, output } of processes) {
    const found = output.filter((line) => faults.test(line))
    expect(found.slice(0, 3), `what the ${kind} told`).to.deep.equal([])
  }
}

/** Calls with more of what may be sent than one good sample has. */
function withMore(
  samples: Readonly<Record<string, readonly Asked[]>>,
): Readonly<Record<string, readonly Asked[]>> {
  const more: Readonly<Record<string, readonly Asked[]>> = {
    'POST /v1/tokens': [
      { body: [{ claims: { jti: 'a', sub: 's', sid: 'd', client_id: 'c', exp: now() + 600 } }] },
      { lines: [{ claims: { jti: 'l', exp: now() + 600 } }, { claims: {} }, { token: 'x' }] },
    ],
    'POST /v1/revocations': [
      { body: { match: { sub: 'f', client_id: 'c' }, except: { sid: 's' }, issuedBefore: now() } },
      { body: { match: { sid: 'f' }, hold: { reviewBy: now() + 600, outcome: 'revoke' } } },
      { body: { match: { jti: 'f' }, at: now() + 600, by: 'b', note: 'n', reason: 'logout' } },
      { body: { match: { sub: 'w' }, wait: { for: 'all', services: ['a'], timeoutMs: 10 } } },
      { body: { match: { sub: 'k' } }, headers: { 'idempotency-key': 'k1' } },
    ],
    'POST /v1/revocations/restore': [{ body: { id: 'r0-1-1-0', by: 'b', note: 'n' } }],
    'GET /v1/revocations': [{ query: { cursor: '0.0', limit: '5' } }, { query: { match: '{}' } }],
    'POST /v1/acks': [
      {
        body: [
          {
            v: 1,
            tenant: 'default',
            service: 'reader',
            instance: 'i-1',
            at: 5,
            state: 'ready',
            applied: { revocations: [{ epoch: '1.a', seq: 1 }], expiries: [] },
            staleMs: 1,
            maxStalenessMs: 5000,
            handles: { kinds: ['revoked'], maxAttempts: 3 },
            handled: [{ log: 'revocations', shard: 0, epoch: '1.a', upTo: 3, done: { 1: [0] } }],
          },
        ],
      },
    ],
    'POST /v1/dead/replay': [{ body: { service: 'orders', keys: ['k'], limit: 3 } }],
    'POST /v1/check': [{ body: { claims: { aud: ['a', 'b'], sub: 'x', ...oldToken() } } }],
  }
  return Object.fromEntries(
    Object.entries(samples).map(([name, asked]) => [name, [...asked, ...(more[name] ?? [])]]),
  )
}
