import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import pino from 'pino'
import { Issuing } from '../../../notifier/issuer/issuing.ts'
import { createSessionParts, type SessionParts } from '../../../notifier/issuer/session-parts.ts'
import { loadSettings } from '../../../shared/config/settings.ts'
import type { TenantSettings } from '../../../shared/config/tenant-settings.ts'
import type { Match } from '../../../shared/domain/claims.ts'
import { tenantOf } from '../../../shared/http/services.ts'
import { createServices, type Process } from '../../../shared/process/create-services.ts'
import { readCoveringRules } from '../../../shared/store/covering-rules.ts'
import { FamilyStore } from '../../../shared/store/family-store.ts'
import { livesOf } from '../../../shared/store/lives.ts'
import { codeOf } from '../../support/code-of.ts'
import { eventually } from '../../support/eventually.ts'
import { engineUrl, freshNamespace } from '../../support/store.ts'
import { deleteKeys } from '../../support/redis.ts'

/** Lets something happen right before a step of the store. */
class WatchedFamilies extends FamilyStore {
  beforeRotation: () => Promise<void> = async () => {}
  beforeBeginning: () => Promise<void> = async () => {}

  override async rotate(
    ...args: Parameters<FamilyStore['rotate']>
  ): ReturnType<FamilyStore['rotate']> {
    await this.beforeRotation()
    return super.rotate(...args)
  }

  override async begin(
    ...args: Parameters<FamilyStore['begin']>
  ): ReturnType<FamilyStore['begin']> {
    await this.beforeBeginning()
    return super.begin(...args)
  }
}

describe('A revocation in the midst of', () => {
  const grant = { sub: 'alice', client_id: 'web', aud: 'api' }
  let services: Process
  let settings: TenantSettings
  let families: WatchedFamilies
  let sessions: SessionParts

  before(async () => {
    const env = {
      AMQP_URL: engineUrl('AMQP_URL'),
      REDIS_URL: engineUrl('REDIS_URL'),
      NAMESPACE: freshNamespace(),
      API_KEYS: `test=${randomBytes(12).toString('hex')}:*`,
      ISSUER: 'https://id.example',
      ISSUER_ENABLED: '1',
      KEY_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      PORT: '0',
    }
    services = createServices(loadSettings(env, 'notifier'), pino({ enabled: false }))
    await services.storeChecked
    const { issuer } = services.settings
    const { keyRings } = services
    if (issuer === undefined || keyRings === undefined) throw new Error('Issuing is off.')
    settings = tenantOf(services.settings)
    families = new WatchedFamilies(services.store)
    const issuing = new Issuing(services, keyRings, issuer.accessSeconds)
    sessions = createSessionParts(services, issuing, issuer, keyRings, families)
  })
  after(async () => {
    await deleteKeys(services.store.redis, `${services.settings.namespace}:*`)
    await services.relay.stop()
    await services.health.stop()
    await services.broker.close()
    services.store.close()
  })
  beforeEach(() => {
    families.beforeRotation = async () => {}
    families.beforeBeginning = async () => {}
  })

  /** Revokes, and ends in a later second: an iat of this one would be past the cut-off. */
  async function revoke(match: Match): Promise<void> {
    const lives = await livesOf(services, settings)
    await services.rules.revoke('default', { op: 'revoke', match, ...lives })
    const second = async (): Promise<number> =>
      Math.floor((await services.store.touch('default', 0)).at / 1000)
    const cut = await second()
    await eventually(async () => (await second()) > cut)
  }

  async function verdictOn(claims: Readonly<Record<string, unknown>>): Promise<string | undefined> {
    const { table } = await readCoveringRules(services, 'default', claims, {})
    return table.verdict(claims, {})?.code
  }

  for (const match of [
    { sub: 'alice' },
    { sid: 'own' },
    { aud: 'api' },
    { role: 'x' },
    {},
  ] as Match[]) {
    it(`a refresh, after its judgement, kills the token that it gives: ${JSON.stringify(match)}`, async () => {
      const { refreshToken, claims } = await sessions.start.begin(settings, {
        ...grant,
        claims: { role: 'x' },
      })
      const { sid } = claims
      const own: Match = 'sid' in match ? { sid: String(sid) } : match
      families.beforeRotation = () => revoke(own)
      const sent = { refreshToken, clientId: 'web' }
      const refreshed = await sessions.refreshing.refresh(settings, sent)
      expect(await verdictOn(refreshed.claims)).to.equal('revoked')
      const next = { ...sent, refreshToken: refreshed.refreshToken }
      expect(await codeOf(sessions.refreshing.refresh(settings, next))).to.equal('session_revoked')
    })
  }

  it('a login, after its judgement, kills the session that it begins', async () => {
    families.beforeBeginning = () => revoke({ sub: 'bob' })
    const begun = await sessions.start.begin(settings, { ...grant, sub: 'bob' })
    expect(await verdictOn(begun.claims)).to.equal('revoked')
    const sent = { refreshToken: begun.refreshToken, clientId: 'web' }
    expect(await codeOf(sessions.refreshing.refresh(settings, sent))).to.equal('session_revoked')
    families.beforeBeginning = async () => {}
    const { claims } = await sessions.start.begin(settings, { ...grant, sub: 'bob' })
    expect(await verdictOn(claims)).to.equal(undefined)
  })

  it('a refresh, before its judgement, refuses it and leaves the refresh token as it was', async () => {
    const { refreshToken } = await sessions.start.begin(settings, { ...grant, sub: 'carol' })
    await revoke({ sub: 'carol' })
    const sent = { refreshToken, clientId: 'web' }
    expect(await codeOf(sessions.refreshing.refresh(settings, sent))).to.equal('session_revoked')
    await services.rules.restore('default', {
      op: 'restore',
      match: { sub: 'carol' },
      ttlSeconds: 60,
    })
    await sessions.refreshing.refresh(settings, sent)
  })

  it('a session kills it however late it is refreshed, after every sweep, and no session from after it', async () => {
    const login = (sub: string) => sessions.start.begin(settings, { ...grant, sub })
    const old = await login('erin')
    await revoke({ sub: 'erin' })
    const fresh = await login('erin')
    // Far past the longest life of an access token, a day; a session may be refreshed for 30.
    const { store } = services
    const shards = Array.from({ length: store.shards }, (_, shard) => shard)
    for (let day = 0; day < 29; day++) {
      for (const shard of shards) {
        const { meta } = store.keys.shard('default', shard)
        const { at } = await store.touch('default', shard)
        await store.redis.hset(meta, 'now', at + 86_400_000)
        await store.touch('default', shard)
        await services.upkeep.pruneRules('default', shard)
      }
    }
    const sent = { refreshToken: old.refreshToken, clientId: 'web' }
    expect(await codeOf(sessions.refreshing.refresh(settings, sent))).to.equal('session_revoked')
    const next = { refreshToken: fresh.refreshToken, clientId: 'web' }
    expect(await codeOf(sessions.refreshing.refresh(settings, next))).to.equal('nothing was thrown')
  })

  it('nothing: what fails before the rotation leaves the refresh token as it was', async () => {
    const { refreshToken } = await sessions.start.begin(settings, { ...grant, sub: 'dora' })
    const sent = { refreshToken, clientId: 'web' }
    families.beforeRotation = () => Promise.reject(new Error('gone'))
    expect(await codeOf(sessions.refreshing.refresh(settings, sent))).to.equal('Error: gone')
    families.beforeRotation = async () => {}
    const first = await sessions.refreshing.refresh(settings, sent)
    const again = await sessions.refreshing.refresh(settings, sent)
    expect(again.refreshToken).to.equal(first.refreshToken)
  })
})
