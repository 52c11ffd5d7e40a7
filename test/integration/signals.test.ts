import { expect } from 'chai'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { TokenDeath, type KnellError, type Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from '../support/eventually.ts'
import { openTestStore } from '../support/store.ts'
import { call, createSystem, now, oldToken, type TestSystem } from '../support/system.ts'

describe('the signal of a token', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess
  let service: Subscriber

  before(async () => {
    system = createSystem()
    notifier = await system.start('notifier')
    service = await system.subscribe()
    await eventually(() => service.stats.push === 'up')
  })
  after(() => system.stop())

  const revoke = (match: Record<string, unknown>, more: Record<string, unknown> = {}) =>
    call(notifier, system.apiKey, '/v1/revocations', { match, ...more })

  async function died(signal: AbortSignal): Promise<TokenDeath> {
    await eventually(() => signal.aborted, { what: 'the signal to abort' })
    return signal.reason as TokenDeath
  }

  for (const [what, match] of Object.entries({
    jti: { jti: 'dies-by-jti' },
    sid: { sid: 'dies-by-sid' },
    sub: { sub: 'dies-by-sub' },
    client_id: { client_id: 'dies-by-client' },
    'two claims': { sub: 'dies-by-two', client_id: 'app' },
    aud: { aud: 'dies-by-aud' },
    'a claim of the issuer': { plan: 7 },
  })) {
    it(`aborts when a rule by ${what} comes, and no other does`, async () => {
      const good = service.signal({ ...oldToken(), jti: `good-${what}`, sub: 'good' })
      const bad = service.signal({ ...oldToken(), jti: `bad-${what}`, ...match })
      expect(bad.aborted).to.equal(false)
      await revoke(match, { reason: 'logout' })
      const death = await died(bad)
      expect(death).to.be.instanceOf(TokenDeath).and.to.be.instanceOf(Error)
      expect(death).to.include({ name: 'TokenDeath', code: 'revoked', reason: 'logout' })
      expect(death.tenant).to.equal('default')
      expect(good.aborted).to.equal(false)
      const again = service.signal({ ...oldToken(), jti: `bad-${what}`, ...match })
      expect(again.aborted).to.equal(true)
      expect(again.reason).to.include({ code: 'revoked', reason: 'logout' })
    })
  }

  it("aborts when the exp has come by the store's clock, and not before", async () => {
    const exp = now() + 2
    const signal = service.signal({ jti: 'expires', iat: now(), exp })
    let abortedAt = 0
    signal.addEventListener('abort', () => (abortedAt = Date.now()))
    const death = await died(signal)
    expect(death.code).to.equal('expired')
    // The store runs on this machine's clock.
    expect(abortedAt)
      .to.be.at.least(exp * 1000)
      .and.below(exp * 1000 + 1000)
  })

  it('is one object for all calls with equal claims, another for any that a rule can tell apart', () => {
    const token = { ...oldToken(), jti: 'shared', sub: 'alice' }
    const signal = service.signal(token)
    expect(service.signal({ ...token })).to.equal(signal)
    expect(service.signal({ ...token, roles: ['admin'] }, {}, { tenant: 'default' })).to.equal(
      signal,
    )
    expect(service.signal({ ...token, exp: token.exp + 1 })).to.not.equal(signal)
    expect(service.signal({ ...token, sub: 'bob' })).to.not.equal(signal)
    expect(service.signal({ sub: 'alice', exp: token.exp })).to.equal(
      service.signal({ sub: 'alice', exp: token.exp }),
    )
  })

  it('holds a copy: what the caller does to its claims later changes nothing', async () => {
    const token: Record<string, unknown> = { ...oldToken(), jti: 'mutable', sub: 'mutable-sub' }
    const signal = service.signal(token)
    token['sub'] = 'somebody-else'
    await revoke({ sub: 'mutable-sub' })
    expect((await died(signal)).code).to.equal('revoked')
  })

  it('aborts by a kid only where the header was given', async () => {
    const token = { ...oldToken(), jti: 'by-kid', sub: 'by-kid' }
    const without = service.signal(token)
    const [k1, k2] = [service.signal(token, { kid: 'k1' }), service.signal(token, { kid: 'k2' })]
    const { body } = await revoke({ sub: 'by-kid', kid: 'k1' })
    expect((await died(k1)).code).to.equal('revoked')
    expect([without.aborted, k2.aborted]).to.deep.equal([false, false])
    await call(notifier, system.apiKey, '/v1/revocations/restore', { id: body['id'] })
    await eventually(() => service.check(token).code === 'active')
    expect(k1.aborted).to.equal(true)
    expect(service.signal(token, { kid: 'k1' }).aborted).to.equal(false)
  })

  it('spares the tokens that a cut-off spares', async () => {
    const token = { ...oldToken(), sub: 'everywhere' }
    const here = service.signal({ ...token, jti: 'here', sid: 'stays' })
    const there = service.signal({ ...token, jti: 'there', sid: 'goes' })
    const later = service.signal({ ...token, jti: 'later', sid: 'goes', iat: now() + 30 })
    await revoke({ sub: 'everywhere' }, { except: { sid: 'stays' } })
    await died(there)
    expect([here.aborted, later.aborted]).to.deep.equal([false, false])
  })

  it('ends a fetch, a composite signal and whatever else takes a signal', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const signal = service.signal({ ...oldToken(), jti: 'fetches' })
      const any = AbortSignal.any([new AbortController().signal, signal])
      const { port } = server.address() as AddressInfo
      const failed = (work: Promise<unknown>): Promise<unknown> =>
        work.then(
          () => undefined,
          (error: unknown) => error,
        )
      const source = new PassThrough()
      const ended = Promise.all([
        failed(fetch(`http://127.0.0.1:${port}`, { signal })),
        failed(delay(60_000, undefined, { signal: any })),
        failed(once(new EventEmitter(), 'never', { signal })),
        failed(pipeline(source, new PassThrough(), { signal })),
      ])
      await once(server, 'request')
      await revoke({ jti: 'fetches' })
      const [fetched, ...others] = await ended
      expect(fetched).to.be.instanceOf(TokenDeath).with.property('code', 'revoked')
      for (const error of others) {
        expect(error).to.be.instanceOf(Error)
        expect((error as Error).cause).to.equal(fetched)
      }
      expect(any.reason).to.equal(fetched)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  it('never aborts by time without an exp, and does by a rule', async () => {
    const signal = service.signal({ sub: 'no-exp' })
    await revoke({ sub: 'no-exp' })
    expect((await died(signal)).code).to.equal('revoked')
  })

  it('throws for what it cannot judge', () => {
    const signal =
      (...args: unknown[]) =>
      () =>
        (service.signal as (...all: unknown[]) => AbortSignal).apply(service, args)
    expect(signal(null)).to.throw(TypeError, 'claims')
    expect(signal({ jti: 'a' }, undefined, { tenant: 'nobody' })).to.throw(TypeError, 'nobody')
  })

  describe('watch', () => {
    it('calls once on death, not at all when undone, and keeps nothing of either', async () => {
      const before = service.stats
      const heard: string[] = []
      const token = (i: number) => ({ ...oldToken(), jti: `watched-${i}`, sub: 'watched' })
      const undo: (() => void)[] = []
      for (let i = 0; i < 10_000; i++) {
        undo.push(service.watch(token(i % 5000), ({ code }) => heard.push(`${i} ${code}`)))
      }
      expect(service.stats.watched - before.watched).to.equal(5000)
      for (const each of undo.splice(0, 2000)) each()
      for (const each of undo.splice(3000, 2000)) each()
      // The first 2,000 tokens have lost both of their two.
      expect(service.stats.watched - before.watched).to.equal(3000)
      await revoke({ sub: 'watched' }, { reason: 'breach' })
      await eventually(() => service.stats.watched === before.watched)
      expect(new Set(heard).size).to.equal(6000)
      expect(heard)
        .to.have.length(6000)
        .and.to.include('2000 revoked')
        .and.to.not.include('1999 revoked')
      expect(service.stats.deaths.revoked - before.deaths.revoked).to.equal(3000)
      for (const each of undo) each()
      expect(service.stats.watched).to.equal(before.watched)
    })

    it('calls in a moment, not at once, for a token that is dead already', async () => {
      await revoke({ jti: 'dead-before' })
      const token = { ...oldToken(), jti: 'dead-before' }
      await eventually(() => !service.check(token).active)
      const { watched } = service.stats
      const heard: string[] = []
      service.watch(token, ({ code, tenant }) => heard.push(`${code} ${tenant}`))
      service.watch(token, () => heard.push('undone'))()
      expect(heard).to.deep.equal([])
      await turn()
      expect(heard).to.deep.equal(['revoked default'])
      expect(service.stats.watched).to.equal(watched)
    })

    it('lets no listener keep another from hearing, nor be called after another undid it', async () => {
      const token = { ...oldToken(), jti: 'several' }
      const heard: string[] = []
      const problems: string[] = []
      const note = ({ code, cause }: KnellError): unknown =>
        problems.push(`${code} ${(cause as Error).message}`)
      service.on('problem', note)
      service.watch(token, () => {
        throw new Error('a fault')
      })
      service.watch(token, () => undoLast())
      service.watch(token, () => heard.push('third'))
      // Another token takes the row while the others are still being called.
      service.watch(
        token,
        () => void service.watch({ ...oldToken(), jti: 'next' }, () => heard.push('next')),
      )
      const undoLast = service.watch(token, () => heard.push('last'))
      const signal = service.signal(token)
      await revoke({ jti: 'several' })
      await died(signal)
      service.off('problem', note)
      expect(heard).to.deep.equal(['third'])
      expect(problems).to.deep.equal(['internal a fault'])
      await revoke({ jti: 'next' })
      await eventually(() => heard.length === 2)
      expect(heard[1]).to.equal('next')
    })

    it('lets the collector have what it no longer needs', async () => {
      setFlagsFromString('--expose-gc')
      const collect = runInNewContext('gc') as () => void
      const gone: WeakRef<object>[] = []
      const wait = (jti: string): void => {
        const held = { jti }
        const token = { ...oldToken(), jti, sub: 'collected' }
        const undo = service.watch(token, () => void held.jti)
        gone.push(new WeakRef(held))
        if (jti.endsWith('0')) undo()
        else gone.push(new WeakRef(service.signal(token)))
      }
      for (let i = 0; i < 100; i++) wait(`collected-${i}`)
      // This one keeps the index from being emptied whole.
      const stays = service.signal({ ...oldToken(), jti: 'stays' })
      await revoke({ sub: 'collected' })
      await eventually(() => service.signal({ ...oldToken(), sub: 'collected' }).aborted)
      await eventually(() => {
        collect()
        return gone.every((ref) => ref.deref() === undefined)
      })
      expect(stays.aborted).to.equal(false)
    })
  })

  it('tells of a rule that only a pull brings', async () => {
    const { namespace } = system
    const store = openTestStore({ namespace })
    try {
      const signal = service.signal({ ...oldToken(), sub: 'pulled-only' })
      // Committed by a process that dies before it publishes; a beat names it.
      const match = { sub: 'pulled-only' }
      await store.rules.revoke('default', { op: 'revoke', match, ttlSeconds: 3600, skewSeconds: 0 })
      expect((await died(signal)).code).to.equal('revoked')
    } finally {
      store.store.close()
    }
  })

  it('waits for the first snapshot, and then is judged', async () => {
    await revoke({ sub: 'dead-at-boot' })
    const late = await system.subscribe({ waitReady: false })
    const dead = late.signal({ ...oldToken(), sub: 'dead-at-boot' })
    const over = late.signal({ jti: 'over', iat: now() - 60, exp: now() - 1 })
    const good = late.signal({ ...oldToken(), sub: 'alive-at-boot' })
    expect([dead.aborted, over.aborted]).to.deep.equal([false, false])
    await late.ready()
    expect((await died(dead)).code).to.equal('revoked')
    expect((await died(over)).code).to.equal('expired')
    expect(good.aborted).to.equal(false)
  })

  it('only counts and logs in observe mode', async () => {
    const lines: { tokens?: number }[] = []
    const log = { debug() {}, info() {}, warn: (facts: object) => void lines.push(facts) }
    const watcher = await system.subscribe({ mode: 'observe', log })
    const token = { ...oldToken(), sub: 'observed' }
    const signal = watcher.signal(token)
    const heard: unknown[] = []
    watcher.watch(token, (death) => heard.push(death))
    await revoke({ sub: 'observed' })
    await eventually(() => watcher.stats.deaths.revoked === 1)
    watcher.watch(token, (death) => heard.push(death))
    await turn()
    expect([signal.aborted, watcher.signal(token).aborted, heard]).to.deep.equal([false, false, []])
    expect(lines.some(({ tokens }) => tokens === 1)).to.equal(true)
    expect(watcher.stats.watched).to.equal(0)
  })

  it('forgets everything when the subscriber is closed', async () => {
    const closing = await system.subscribe()
    const signal = closing.signal({ jti: 'closing', iat: now(), exp: now() + 1 })
    const undo = closing.watch({ ...oldToken(), jti: 'closing-too' }, () => {})
    await closing.close()
    undo()
    expect(closing.stats.watched).to.equal(0)
    const marker = service.signal({ jti: 'marker', iat: now(), exp: now() + 2 })
    await died(marker)
    expect(signal.aborted).to.equal(false)
    expect(closing.signal({ jti: 'closing', iat: now() - 9, exp: now() - 1 }).aborted).to.equal(
      true,
    )
    expect(closing.stats.watched).to.equal(0)
  })

  // The last one, since it ends every token of the tenant.
  describe('of a whole tenant', () => {
    it('aborts all of them by the rule of the whole tenant', async () => {
      const signals = Array.from({ length: 2000 }, (_, i) =>
        service.signal({ ...oldToken(), jti: `all-${i}` }),
      )
      const later = service.signal({ ...oldToken(), iat: now() + 30, jti: 'later' })
      await revoke({}, { reason: 'breach' })
      await eventually(() => signals.every(({ aborted }) => aborted))
      expect(later.aborted).to.equal(false)
    })
  })
})
