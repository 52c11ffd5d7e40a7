import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { TokenDeath, type Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from '../support/eventually.ts'
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
})
