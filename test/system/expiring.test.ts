import { expect } from 'chai'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { ConnectOptions } from '../../shared/subscriber/index.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type TestSystem } from '../support/system.ts'

interface Heard {
  readonly what: string
  readonly at: number
}

describe('announcements before exp', function () {
  this.timeout(60_000)
  let system: TestSystem
  afterEach(() => system.stop())

  /** What an instance is told of one `jti`, in order: lead times, and `expired`. */
  async function listen(options: Partial<ConnectOptions> = {}): Promise<(jti: string) => Heard[]> {
    const service = await system.subscribe(options)
    const heard = new Map<string, Heard[]>()
    const note = (jti: string, what: string, at: number): void => {
      heard.set(jti, [...(heard.get(jti) ?? []), { what, at }])
    }
    service.on('expiring', ({ jti, inSeconds }, { at }) => note(jti, String(inSeconds), at))
    service.on('expired', ({ jti }, { at }) => note(jti, 'expired', at))
    return (jti) => heard.get(jti) ?? []
  }

  async function register(
    notifier: { readonly url: string },
    claims: readonly object[],
    tenant = 'default',
  ): Promise<void> {
    const items = claims.map((one) => ({ claims: one, tenant }))
    const { status, body } = await call(notifier, system.apiKey, '/v1/tokens', items)
    expect([status, body]).to.deep.equal([201, { registered: claims.length }])
  }

  it('come once for each lead time still ahead, in time and before the expiry, and not for a revoked jti', async () => {
    system = createSystem({ EXPIRING_LEAD: '2s,5s' })
    const notifier = await system.start('notifier')
    const second = await system.start('notifier')
    const told = await listen()
    const exp = now() + 8
    const tokens = [
      { jti: 'long', sub: 'alice', exp },
      { jti: 'revoked', exp },
      { jti: 'short', exp: exp - 4 },
    ]
    await register(notifier, tokens)
    await register(second, tokens)
    const revoked = await call(notifier, system.apiKey, '/v1/revocations', {
      match: { jti: 'revoked' },
    })
    expect(revoked.status).to.equal(201)
    await eventually(() => told('long').some(({ what }) => what === 'expired'), {
      what: 'the expiry',
      timeoutMs: 30_000,
    })
    await register(notifier, [{ jti: 'marker', exp: now() + 2 }])
    await eventually(() => told('marker').length === 1, { what: 'the marker', timeoutMs: 20_000 })
    const long = told('long')
    expect(long.map(({ what }) => what)).to.deep.equal(['5', '2', 'expired'])
    for (const [i, lead] of [5, 2, 0].entries()) {
      expect(long[i]?.at, `${lead} s before`).to.be.at.least((exp - lead) * 1000)
    }
    expect(told('short').map(({ what }) => what)).to.deep.equal(['2', 'expired'])
    expect(told('revoked')).to.deep.equal([])
  })

  it('come by the sweep alone, while no notifier lives, and only for the lead time that is true then', async () => {
    system = createSystem({ EXPIRING_LEAD: '1s,10s', SWEEP_GRACE: '2s' })
    const poller = await system.start('poller')
    const notifier = await system.start('notifier')
    const told = await listen()
    const exp = now() + 12
    await register(notifier, [{ jti: 'a', exp }])
    await notifier.kill('SIGKILL')
    await eventually(() => told('a').some(({ what }) => what === 'expired'), {
      what: 'the expiry',
      timeoutMs: 40_000,
    })
    expect(told('a').map(({ what }) => what)).to.deep.equal(['10', 'expired'])
    const caught = (await call(poller, system.apiKey, '/v1/sweeps?limit=1000')).body['sweeps']
    const sum = (caught as { overdueExpiring: number }[]).reduce(
      (all, { overdueExpiring }) => all + overdueExpiring,
      0,
    )
    expect(sum).to.equal(1)
  })

  it('come once to each instance while two notifiers tick and two pollers sweep the same seconds', async () => {
    // Without a grace the sweeps drain what the ticks drain.
    system = createSystem({ EXPIRING_LEAD: '1s,2s,4s', SWEEP_GRACE: '0s', SHARDS: '2' })
    const kinds = ['notifier', 'notifier', 'poller', 'poller'] as const
    const [one, two] = await Promise.all(kinds.map((kind) => system.start(kind)))
    const told = await listen()
    const exp = now() + 8
    const claims = Array.from({ length: 3000 }, (_, i) => ({ jti: `t-${i}`, exp: exp + (i % 3) }))
    await Promise.all([one, two].map((notifier) => register(notifier as KnellProcess, claims)))
    await eventually(
      () => claims.every(({ jti }) => told(jti).some(({ what }) => what === 'expired')),
      {
        what: 'every expiry',
        timeoutMs: 40_000,
        intervalMs: 200,
      },
    )
    for (const { jti, exp: death } of claims) {
      const heard = told(jti)
      const whats = heard.map(({ what }) => what)
      expect(new Set(whats).size, `${jti}: ${whats.join()}`).to.equal(whats.length)
      expect(whats.at(-1), jti).to.equal('expired')
      for (const { what, at } of heard) {
        const lead = what === 'expired' ? 0 : Number(what)
        expect(at, `${jti}: ${what}`).to.be.at.least((death - lead) * 1000)
      }
    }
    const all = claims.flatMap(({ jti }) => told(jti)).length
    expect(all, 'nearly all are in time').to.be.at.least(claims.length * 3)
  })

  it('come by pull to an instance that RabbitMQ is away for', async () => {
    system = createSystem({ EXPIRING_LEAD: '2s' })
    const notifier = await system.start('notifier')
    const told = await listen({ amqp: 'amqp://127.0.0.1:1' })
    await register(notifier, [{ jti: 'a', exp: now() + 5 }])
    await eventually(() => told('a').length === 2, { what: 'both', timeoutMs: 30_000 })
    expect(told('a').map(({ what }) => what)).to.deep.equal(['2', 'expired'])
  })

  it('are made for each tenant as TENANTS_FILE says', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'knell-expiring-'))
    try {
      const path = join(folder, 'tenants.json')
      await writeFile(path, JSON.stringify({ loud: { expiringLead: ['2s'] }, quiet: {} }))
      system = createSystem({ TENANTS_FILE: path })
      const notifier = await system.start('notifier')
      const told = await listen({ tenants: ['loud', 'quiet'] })
      const exp = now() + 5
      for (const tenant of ['loud', 'quiet']) {
        await register(notifier, [{ jti: tenant, exp }], tenant)
      }
      await eventually(() => told('loud').length === 2 && told('quiet').length === 1, {
        what: 'three announcements',
        timeoutMs: 20_000,
      })
      expect(told('loud').map(({ what }) => what)).to.deep.equal(['2', 'expired'])
      expect(told('quiet').map(({ what }) => what)).to.deep.equal(['expired'])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
