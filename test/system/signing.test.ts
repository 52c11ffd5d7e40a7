import { expect } from 'chai'
import { flattenedVerify } from 'jose'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type JsonWebKey,
} from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { signingInput } from '../../shared/signing/detached-jws.ts'
import { publicJwks, readSigningKeys, type EventJwkSet } from '../../shared/signing/event-keys.ts'
import { EventSigner } from '../../shared/signing/event-signer.ts'
import type { KnellError, Subscriber } from '../../shared/subscriber/index.ts'
import { openProxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { openHostile, type Hostile } from '../support/hostile.ts'
import { openMeddler, type Exchange, type Meddler } from '../support/meddler.ts'
import { engineUrl, openTestStore, type TestStore } from '../support/store.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../support/system.ts'

function makeKey(kid: string): JsonWebKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256' }
}

const [old, fresh, evil] = [makeKey('old'), makeKey('fresh'), makeKey('old')]
const setOf = (...keys: JsonWebKey[]): string => JSON.stringify({ keys })
const pinOf = (...keys: JsonWebKey[]): EventJwkSet => publicJwks(readSigningKeys({ keys }))
const signing = (...keys: JsonWebKey[]) => ({ EVENT_SIGNING_KEYS: setOf(...keys) })
/** Nothing but what the test does happens by itself. */
const QUIET = { BEAT: '60s', SWEEP_CRON: '0 0 1 1 *' }

describe('signed entries', function () {
  this.timeout(90_000)
  let system: TestSystem
  let store: TestStore
  let hostile: Hostile
  let meddler: Meddler | undefined

  async function open(env: Readonly<Record<string, string>> = {}): Promise<void> {
    system = createSystem({ BEAT: '300ms', ...signing(old), ...env })
    store = openTestStore({ namespace: system.namespace })
    hostile = await openHostile(String(system.env['AMQP_URL']), system.namespace)
  }

  afterEach(async () => {
    await system.stop()
    await meddler?.close()
    meddler = undefined
    store.store.close()
    await hostile.close()
  })

  const pinned = (options: object = {}): Promise<Subscriber> =>
    system.subscribe({ eventKeys: pinOf(old), ...options })
  const revoke = async (process: KnellProcess, sub: string, more: object = {}) => {
    const { status, body } = await call(process, system.apiKey, '/v1/revocations', {
      match: { sub },
      ...more,
    })
    expect(status).to.equal(201)
    return body
  }
  /** Commits without publishing, as a process would that died in between. */
  const commit = (sub: string) =>
    store.rules.revoke('default', {
      op: 'revoke',
      match: { sub },
      ttlSeconds: 3600,
      skewSeconds: 0,
    })
  const code = (service: Subscriber, sub: string): string =>
    service.check({ ...oldToken(), sub }).code
  const isUp = (service: Subscriber) => eventually(() => service.stats.push === 'up')
  const signer = (key = old): EventSigner =>
    new EventSigner(readSigningKeys({ keys: [key] }), system.namespace)
  async function heard(key: string, containing: string): Promise<Hostile['heard'][number]> {
    const find = () => hostile.heard.find((one) => one.key === key && one.body.includes(containing))
    return (await eventually(find)) as Hostile['heard'][number]
  }
  function codesOf(service: Subscriber): Set<string> {
    const codes = new Set<string>()
    service.on('problem', (error: KnellError) => codes.add(error.code))
    return codes
  }

  it('travel by snapshot, push and pull, and jose agrees', async () => {
    await open()
    const notifier = await system.start('notifier')
    for (let i = 0; i < 5; i++) await revoke(notifier, `before-${i}`)
    const service = await pinned()
    const expired: string[] = []
    service.on('expired', ({ jti }) => expired.push(jti))
    for (let i = 0; i < 5; i++) expect(code(service, `before-${i}`)).to.equal('revoked')
    await isUp(service)
    await revoke(notifier, 'pushed')
    await dies(service, { sub: 'pushed' })
    const pushed = service.stats.pushed
    expect(pushed).to.be.greaterThan(0)
    await commit('pulled')
    await dies(service, { sub: 'pulled' })
    const claims = { jti: 't-1', exp: now() + 2 }
    await call(notifier, system.apiKey, '/v1/tokens', { claims })
    await eventually(() => expired.length > 0)
    await eventually(() => service.freshness().staleMs < 1500)
    const { unsigned, altered, foreign } = service.stats.refused
    expect({ unsigned, altered, foreign }).to.deep.equal({ unsigned: 0, altered: 0, foreign: 0 })

    const nonce = 'n'.repeat(22)
    const path = `/v1/feed?after=0-0,0-0,0-0,0-0&nonce=${nonce}`
    const { body } = await call(notifier, system.apiKey, path)
    const { envelope, entries } = body as unknown as {
      envelope: { body: string; signature: string }
      entries: { body: string; signature: string }[]
    }
    expect(entries.length).to.be.at.least(7)
    const message = await heard('default.revoked', '"pushed"')
    for (const { body: text, signature } of [envelope, ...entries]) {
      const [header = '', , sig = ''] = signature.split('.')
      const jws = { protected: header, payload: Buffer.from(text), signature: sig }
      const key = createPublicKey({ key: pinOf(old).keys[0] as JsonWebKey, format: 'jwk' })
      await flattenedVerify(jws, key, { algorithms: ['ES256'] })
    }
    expect(entries.map((entry) => entry.body)).to.include(message.body.toString())
    const said = JSON.parse(envelope.body) as Record<string, unknown>
    expect(said).to.include({ tenant: 'default', log: 'revocations', more: false })
    expect(said['asked']).to.deep.equal({ after: '0-0,0-0,0-0,0-0', nonce })
  })

  it('are pinned by nobody who does not want to, and checkpoints disturb no snapshot', async () => {
    await open()
    const notifier = await system.start('notifier')
    for (let i = 0; i < 1200; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => revoke(notifier, `u${i + j}`)))
    }
    const [plain, strict] = await Promise.all([system.subscribe(), pinned()])
    for (const service of [plain, strict]) {
      for (let i = 0; i < 1200; i++) expect(code(service, `u${i}`)).to.equal('revoked')
      await isUp(service)
    }
    await revoke(notifier, 'pushed')
    await commit('pulled')
    for (const service of [plain, strict]) {
      await dies(service, { sub: 'pushed' })
      await dies(service, { sub: 'pulled' })
      expect(service.stats.invalid).to.equal(0)
    }
    const text = await (
      await fetch(`${notifier.url}/v1/snapshot`, {
        headers: { authorization: `Bearer ${system.apiKey}`, connection: 'close' },
      })
    ).text()
    expect(text.match(/^\{"checkpoint":/gm)?.length).to.be.at.least(3)
  })

  it('survive a change of keys without loss', async () => {
    await open()
    const first = await system.start('notifier')
    const second = await system.start('notifier', signing(fresh, old))
    const service = await pinned({ eventKeys: pinOf(old, fresh), pull: [first.url, second.url] })
    await isUp(service)
    for (let i = 0; i < 10; i++) await revoke(i % 2 === 0 ? first : second, `both-${i}`)
    await first.stop()
    for (let i = 0; i < 5; i++) await revoke(second, `after-${i}`)
    await commit('pulled')
    for (let i = 0; i < 10; i++) await dies(service, { sub: `both-${i}` })
    for (let i = 0; i < 5; i++) await dies(service, { sub: `after-${i}` })
    await dies(service, { sub: 'pulled' })
    await eventually(() => service.freshness().staleMs < 1500)
    expect(service.stats.refused.altered).to.equal(0)
    expect(service.stats.refused.unsigned).to.equal(0)
    const late = await pinned({ eventKeys: pinOf(fresh), pull: [second.url] })
    expect(code(late, 'both-0')).to.equal('revoked')
  })

  it('are missed by whoever pins keys and meets a process that does not sign: it never is ready, and says why', async () => {
    await open({ EVENT_SIGNING_KEYS: '' })
    const notifier = await system.start('notifier')
    const warnings: string[] = []
    const service = await pinned({
      waitReady: false,
      log: { debug() {}, info() {}, warn: (_: object, text: string) => warnings.push(text) },
    })
    const codes = codesOf(service)
    await isUp(service)
    await revoke(notifier, 'alice')
    await eventually(() => service.stats.refused.unsigned > 5)
    expect(service.isReady).to.equal(false)
    expect(code(service, 'alice')).to.equal('not_ready')
    expect([...codes]).to.include('event_unsigned')
    expect(warnings.join('\n')).to.include('has no signature, though event keys are pinned')
  })

  describe('against a hostile client of RabbitMQ', () => {
    it('nothing forged is applied, and everything is counted', async () => {
      await open()
      const notifier = await system.start('notifier')
      const service = await pinned()
      const codes = codesOf(service)
      await isUp(service)
      await revoke(notifier, 'model')
      const { body, signature } = await heard('default.revoked', '"model"')
      await dies(service, { sub: 'model' })
      const model = String(signature)
      const { seq } = JSON.parse(body.toString()) as { seq: number }
      const entry = (sub: string, more: object = {}): string =>
        JSON.stringify({ ...JSON.parse(body.toString()), seq: seq + 1, ...more }).replace(
          '"model"',
          JSON.stringify(sub),
        )
      const before = service.stats.refused
      const send = (text: string, sig?: unknown): void =>
        hostile.publish('revocations', 'default.revoked', text, sig)
      const strange = (header: object, text: string): string => {
        const encoded = Buffer.from(JSON.stringify(header)).toString('base64url')
        return `${encoded}..${sign('sha256', signingInput(encoded, Buffer.from(text)), {
          key: createPrivateKey({ key: evil, format: 'jwk' }),
          dsaEncoding: 'ieee-p1363',
        }).toString('base64url')}`
      }
      const header = {
        alg: 'ES256',
        kid: 'old',
        typ: `${system.namespace}.entry`,
        b64: false,
        crit: ['b64'],
      }
      send(entry('v-unsigned'))
      const altered: [string, unknown][] = [
        ['v-wrong-key', signer(fresh).sign('entry', entry('v-wrong-key'))],
        ['v-same-kid', signer(evil).sign('entry', entry('v-same-kid'))],
        ['v-another-body', model],
        ['v-as-beat', signer().sign('beat', entry('v-as-beat'))],
        ['v-none', strange({ ...header, alg: 'none' }, entry('v-none'))],
        ['v-rs256', strange({ ...header, alg: 'RS256' }, entry('v-rs256'))],
        ['v-hs256', strange({ ...header, alg: 'HS256' }, entry('v-hs256'))],
        ['v-crit', strange({ ...header, crit: ['b64', 'x'], x: 1 }, entry('v-crit'))],
        ['v-jwk', strange({ ...header, kid: 'x', jwk: pinOf(evil).keys[0] }, entry('v-jwk'))],
        ['v-huge', `${'A'.repeat(60_000)}..${'A'.repeat(86)}`],
        ['v-number', 5],
        ['v-list', [model]],
        ['v-object', { toString: 'x' }],
        ['v-empty', ''],
      ]
      for (const [sub, sig] of altered) send(entry(sub), sig)
      const flipped = Buffer.from(body)
      flipped[flipped.indexOf('model')] = 'M'.charCodeAt(0)
      hostile.publish('revocations', 'default.revoked', flipped, model)
      const last = await heard('default.beat', '"tenant"')
      const beat = JSON.parse(String(last.body)) as { at: number }
      const future = JSON.stringify({ ...beat, at: beat.at + 3_600_000 })
      hostile.publish('control', 'default.beat', future)
      hostile.publish('control', 'default.beat', future, last.signature)
      hostile.publish('control', 'default.beat', future, signer(evil).sign('beat', future))
      await hostile.settled()
      await revoke(notifier, 'marker')
      await dies(service, { sub: 'marker' })

      const { refused } = service.stats
      expect(refused.unsigned - before.unsigned).to.equal(2)
      expect(refused.altered - before.altered).to.equal(altered.length + 3)
      for (const sub of ['v-unsigned', 'Model', ...altered.map(([name]) => name)]) {
        expect(code(service, sub), sub).to.equal('active')
      }
      expect(service.freshness().asOf).to.be.below(Date.now() + 60_000)
      expect([...codes]).to.include.members(['event_unsigned', 'event_signature_invalid'])
    })

    it('nothing of another tenant is applied, with keys and without', async () => {
      const file = new URL('signing-tenants.json', import.meta.url)
      await writeFile(file, JSON.stringify({ one: { issuer: 'i1' }, two: { issuer: 'i2' } }))
      await open({ TENANTS_FILE: fileURLToPath(file) })
      const notifier = await system.start('notifier')
      const strict = await pinned({ tenants: ['two'] })
      const plain = await system.subscribe({ tenants: ['two'] })
      const codes = codesOf(strict)
      for (const service of [strict, plain]) await isUp(service)
      await revoke(notifier, 'alice', { tenant: 'one' })
      const { body, signature } = await heard('one.revoked', '"alice"')
      const beat = await heard('one.beat', '"tenant":"one"')
      const before = [strict, plain].map(({ stats }) => stats.refused.foreign)
      hostile.publish('revocations', 'two.revoked', body, signature)
      hostile.publish('control', 'two.beat', beat.body, beat.signature)
      hostile.publish('expiries', 'two.revoked', body, signature)
      hostile.publish('control', 'two.beat', body, signature)
      await hostile.settled()
      await revoke(notifier, 'marker', { tenant: 'two' })
      for (const [i, service] of [strict, plain].entries()) {
        await dies(service, { sub: 'marker' })
        expect(code(service, 'alice')).to.equal('active')
        expect(service.stats.refused.foreign - Number(before[i])).to.equal(2)
      }
      // On the control exchange it was neither a signed beat nor a beat at all.
      expect(strict.stats.refused.altered).to.equal(1)
      expect(plain.stats.invalid).to.equal(1)
      expect([...codes]).to.include('event_foreign_tenant')
    })

    it('beats that were kept keep no view fresh, and the push path not alive', async () => {
      await open()
      const notifier = await system.start('notifier')
      const service = await pinned({ maxStaleness: 2500 })
      const codes = codesOf(service)
      await isUp(service)
      await eventually(() => service.freshness().staleMs < 1000)
      const beats = (): Hostile['heard'] =>
        hostile.heard.filter(({ key }) => key === 'default.beat').slice(-20)
      await eventually(() => beats().length >= 5)
      await notifier.kill()
      const kept = beats()
      const { asOf } = service.freshness()
      await eventually(
        async () => {
          for (const { body, signature } of kept) {
            hostile.publish('control', 'default.beat', body, signature)
          }
          await hostile.settled()
          return code(service, 'bob') === 'stale'
        },
        { what: 'the view to be stale' },
      )
      expect(service.freshness().asOf).to.be.below(asOf + 1000)
      expect(service.stats.refused.replayed).to.be.greaterThan(kept.length)
      expect([...codes]).to.include('event_replayed')
    })

    it('beats that come late do not hide that the push path is silent', async () => {
      const proxy = await openProxy({ target: targetOf(engineUrl('AMQP_URL')) })
      try {
        await open()
        const notifier = await system.start('notifier', {
          AMQP_URL: proxy.url(engineUrl('AMQP_URL')),
        })
        meddler = await openMeddler(notifier.url)
        const { seen, url } = meddler
        const service = await pinned({ pull: [url], maxStaleness: 3000 })
        await isUp(service)
        const last = await heard('default.beat', '"tenant"')
        await eventually(() => service.freshness().staleMs < 1000)
        await proxy.cut()
        const isLongPoll = (one: Exchange): boolean => /waitMs=[1-9]/.test(one.url)
        const beatLate = async (): Promise<void> => {
          const beat = JSON.stringify({ ...JSON.parse(String(last.body)), at: Date.now() - 4000 })
          hostile.publish('control', 'default.beat', beat, signer().sign('beat', beat))
          await hostile.settled()
        }
        const started = performance.now()
        // By then each is news, though 4 s old, and more than a moment ago.
        await eventually(async () => {
          await beatLate()
          return performance.now() - started > 7000
        })
        const from = seen.length
        await eventually(async () => {
          await beatLate()
          return seen.slice(from).filter(isLongPoll).length >= 3
        })
      } finally {
        await system.stop()
        await proxy.close()
      }
    })

    it('beats that were kept do not silence a poller', async () => {
      await open({ SWEEP_CRON: '0 0 1 1 *' })
      const notifier = await system.start('notifier')
      await system.start('poller')
      await eventually(() => hostile.heard.filter(({ key }) => key === 'default.beat').length >= 5)
      await notifier.kill()
      const killedAt = Date.now()
      const kept = hostile.heard.filter(({ key }) => key === 'default.beat')
      const forged = JSON.stringify({ ...JSON.parse(String(kept[0]?.body)), at: killedAt + 9e6 })
      await eventually(async () => {
        for (const { body, signature } of kept) {
          hostile.publish('control', 'default.beat', body, signature)
        }
        hostile.publish('control', 'default.beat', forged, signer(evil).sign('beat', forged))
        await hostile.settled()
        return hostile.heard.some(({ key, body, signature }) => {
          const { at } = JSON.parse(String(body)) as { at: number }
          const isOurs = typeof signature === 'string' && !body.equals(Buffer.from(forged))
          return key === 'default.beat' && isOurs && at > killedAt + 1000
        })
      })
    })

    it('entries of a lost epoch that somebody kept bring nothing back', async () => {
      await open(QUIET)
      const notifier = await system.start('notifier')
      const service = await pinned()
      const plain = await system.subscribe()
      const codes = codesOf(service)
      for (const each of [service, plain]) await isUp(each)
      await revoke(notifier, 'model')
      await dies(service, { sub: 'model' })
      const { body } = await heard('default.revoked', '"model"')
      const entry = JSON.parse(String(body)) as { epoch: string }
      const term = Number(entry.epoch.split('.')[0]) - 1_000_000
      const copy = (sub: string, at: number): string =>
        JSON.stringify({ ...entry, epoch: `${term}.abcdef`, at }).replace('"model"', `"${sub}"`)
      for (const [sub, at] of [
        ['kept', Date.now() - 120_000],
        ['late', Date.now() - 1000],
      ] as const) {
        const text = copy(sub, at)
        hostile.publish('revocations', 'default.revoked', text, signer().sign('entry', text))
      }
      await hostile.settled()
      await dies(service, { sub: 'late' })
      expect(code(service, 'kept')).to.equal('active')
      expect([...codes]).to.include('event_replayed')
      // Whoever pins no keys believes everybody: that is what keys are for.
      await dies(plain, { sub: 'kept' })
    })

    it('a flood of forgeries delays neither checks nor, for long, revocations', async () => {
      await open()
      const notifier = await system.start('notifier')
      const service = await pinned()
      await isUp(service)
      await revoke(notifier, 'model')
      const { body } = await heard('default.revoked', '"model"')
      const forged = signer(evil).sign('entry', body.toString())
      const beat = await heard('default.beat', '"tenant":"default"')
      for (let i = 0; i < 20; i++) {
        for (let j = 0; j < 1000; j++) {
          hostile.publish('revocations', 'default.revoked', body, forged)
          if (j % 10 === 0) hostile.publish('control', 'default.beat', beat.body, forged)
        }
        await hostile.settled()
      }
      const started = performance.now()
      await revoke(notifier, 'in-the-flood')
      await dies(service, { sub: 'in-the-flood' })
      expect(performance.now() - started).to.be.below(5000)
      await eventually(() => service.freshness().staleMs < 2000)
      expect(service.stats.refused.altered).to.be.greaterThan(5000)
    })
  })

  describe('against a man in the middle of HTTP', () => {
    /** One notifier behind a meddler, and no beats: what is pulled is all there is. */
    async function between(): Promise<{ notifier: KnellProcess; middle: Meddler }> {
      await open(QUIET)
      const notifier = await system.start('notifier')
      meddler = await openMeddler(notifier.url)
      return { notifier, middle: meddler }
    }
    const isPage = ({ path }: Exchange): boolean => path === '/v1/feed'
    const isSnapshot = ({ path }: Exchange): boolean => path === '/v1/snapshot'

    async function goesStale(service: Subscriber): Promise<void> {
      await eventually(() => code(service, 'bob') === 'stale', { what: 'the view to be stale' })
    }

    const onPages: Record<string, { change: (page: Page, seen: Exchange[]) => unknown; why: Why }> =
      {
        'replays an old page': {
          change: (_, seen) => JSON.parse(seen.find(isPage)?.text ?? '{}') as unknown,
          why: 'replayed',
        },
        'strips the signatures': {
          change: ({ entries, ...page }) => ({
            ...page,
            envelope: undefined,
            entries: entries.map(({ body }) => JSON.parse(body) as unknown),
          }),
          why: 'unsigned',
        },
        'strips the signature of the envelope': {
          change: (page) => ({ ...page, envelope: { body: page.envelope.body } }),
          why: 'unsigned',
        },
        'leaves an entry out': {
          change: (page) => ({ ...page, entries: page.entries.slice(1) }),
          why: 'altered',
        },
        'alters an entry': {
          change: (page) => ({
            ...page,
            entries: page.entries.map(({ body, signature }) => ({
              body: body.replace('"alice"', '"bob"'),
              signature,
            })),
          }),
          why: 'altered',
        },
        'alters the envelope': {
          change: ({ envelope, ...page }) => ({
            ...page,
            envelope: { ...envelope, body: envelope.body.replace('"more":false', '"more":true ') },
          }),
          why: 'altered',
        },
        'passes an entry off as the envelope': {
          change: (page) => ({ ...page, envelope: page.entries[0] ?? {} }),
          why: 'altered',
        },
      }

    for (const [what, { change, why }] of Object.entries(onPages)) {
      it(`that ${what}, the view is stale rather than wrong`, async () => {
        const { notifier, middle } = await between()
        const service = await pinned({ pull: [middle.url], maxStaleness: 1200 })
        const codes = codesOf(service)
        await isUp(service)
        await eventually(() => middle.seen.some(isPage))
        let changed = 0
        middle.answer = (exchange) => {
          if (!isPage(exchange)) return exchange.text
          const page = JSON.parse(exchange.text) as Page
          if (page.entries.length === 0 && why === 'altered' && !what.includes('envelope')) {
            return exchange.text
          }
          changed += 1
          return JSON.stringify(change(page, middle.seen))
        }
        await commit('alice')
        await eventually(() => changed > 0 && service.stats.refused[why] > 0)
        await goesStale(service)
        expect(code(service, 'alice')).to.equal('stale')
        expect(service.check({ ...oldToken(), sub: 'bob' }).code).to.equal('stale')
        expect([...codes].some((one) => one.startsWith('event_'))).to.equal(true)
        middle.answer = undefined
        await dies(service, { sub: 'alice' })
        await eventually(() => code(service, 'bob') === 'active')
        await revoke(notifier, 'after')
        await dies(service, { sub: 'after' })
      })
    }

    it('that asks another question, the answer is refused', async () => {
      const { middle } = await between()
      const service = await pinned({ pull: [middle.url], maxStaleness: 1200 })
      middle.ask = (url) => url.replace(/([?&])instance=[^&]*/, '$1instance=someone-else')
      await goesStale(service)
      expect(service.stats.refused.replayed).to.be.greaterThan(0)
      middle.ask = undefined
      await eventually(() => code(service, 'bob') === 'active')
    })

    const onSnapshots: Record<
      string,
      { change: (text: string, old: string) => string; why?: Why }
    > = {
      'alters a rule': { change: (text) => text.replace('"u7"', '"bob"'), why: 'altered' },
      'leaves a rule out': {
        change: (text) => text.replace(/^\{"shard".*"u7".*\n/m, ''),
        why: 'altered',
      },
      'alters the head': {
        change: (text) => text.replace(/"seq":(\d)/, '"seq":9$1'),
        why: 'altered',
      },
      'strips the signatures': {
        change: (text) =>
          text.replaceAll(/^\{"checkpoint".*\n/gm, '').replace(/("count":\d+),"body".*\}$/m, '$1}'),
        why: 'unsigned',
      },
      'replays an old one': { change: (_, old) => old, why: 'replayed' },
      'ends it at a checkpoint': {
        change: (text) => text.slice(0, text.indexOf('\n', text.indexOf('{"checkpoint"')) + 1),
      },
      'makes an end of a checkpoint': {
        change: (text) =>
          text
            .slice(0, text.indexOf('\n', text.indexOf('{"checkpoint"')) + 1)
            .replace('{"checkpoint"', '{"end":true,"count"'),
      },
      'goes on without end': {
        change: (text) => {
          const head = text.slice(0, text.indexOf('\n') + 1)
          const rule = /^\{"shard".*\n/m.exec(text)?.[0] ?? ''
          return head + rule.repeat(20_000)
        },
        why: 'unsigned',
      },
    }

    for (const [what, { change, why }] of Object.entries(onSnapshots)) {
      it(`that meddles with snapshots and ${what}, the view is never ready`, async () => {
        const { notifier, middle } = await between()
        for (let i = 0; i < 20; i++) await commit(`u${i}`)
        const options = { pull: [middle.url], waitReady: false }
        const first = await pinned(options)
        await first.ready()
        const old = middle.seen.find(isSnapshot)?.text ?? ''
        let changed = 0
        middle.answer = (exchange) => {
          if (!isSnapshot(exchange)) return exchange.text
          changed += 1
          return change(exchange.text, old)
        }
        const service = await pinned(options)
        const problems: string[] = []
        service.on('problem', (error: KnellError) => problems.push(error.code))
        await eventually(() => changed >= 3 && problems.length >= 3)
        expect(service.isReady).to.equal(false)
        expect(code(service, 'bob')).to.equal('not_ready')
        if (why !== undefined) expect(service.stats.refused[why]).to.be.at.least(2)
        middle.answer = undefined
        await service.ready()
        for (let i = 0; i < 20; i++) expect(code(service, `u${i}`)).to.equal('revoked')
        expect(code(service, 'bob')).to.equal('active')
        await revoke(notifier, 'after')
        await dies(service, { sub: 'after' })
      })
    }

    it('that answers checks itself, nothing it says is believed', async () => {
      const { middle } = await between()
      // A view that has nothing asks about everything.
      const answer = (lie: (text: string) => string) => (exchange: Exchange) =>
        isSnapshot(exchange) ? 'nothing' : isCheck(exchange) ? lie(exchange.text) : exchange.text
      const isCheck = ({ path }: Exchange): boolean => path === '/v1/check'
      middle.answer = answer((text) => text)
      const options = { whenStale: 'ask', pull: [middle.url], waitReady: false }
      const service = await pinned(options)
      await commit('alice')
      const ask = (sub: string) => service.decide({ ...oldToken(), sub })
      expect(await ask('bob')).to.include({ code: 'active', decidedBy: 'store' })
      expect(await ask('alice')).to.include({ active: false, code: 'revoked' })
      const good = middle.seen.find(isCheck)?.text ?? ''
      const lies: ((text: string) => string)[] = [
        () => good,
        (text) => JSON.stringify({ ...JSON.parse(text), active: true, code: 'active' }),
        (text) => text.replaceAll('false', 'true').replaceAll('revoked', 'active'),
        () => '{"active":true,"code":"active","asOf":1,"staleMs":0,"decidedBy":"store"}',
      ]
      for (const lie of lies) {
        middle.answer = answer(lie)
        expect((await ask('alice')).active).to.equal(false)
      }
      const { replayed, altered, unsigned } = service.stats.refused
      expect([replayed, altered, unsigned]).to.deep.equal([1, 1, 1])
      middle.answer = undefined
      await service.ready()
      expect(await ask('alice')).to.include({ active: false, decidedBy: 'view' })
    })

    it('an honest URL beside a dishonest one is enough', async () => {
      const { notifier, middle } = await between()
      middle.answer = ({ text }) => text.replaceAll('"signature":"', '"signature":"x')
      const service = await pinned({ pull: [middle.url, notifier.url], maxStaleness: 2000 })
      await commit('alice')
      await dies(service, { sub: 'alice' })
      expect(service.stats.refused.altered).to.be.greaterThan(0)
    })
  })
})

function targetOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

type Why = 'unsigned' | 'altered' | 'foreign' | 'replayed'

interface Page {
  readonly envelope: { readonly body: string; readonly signature?: string }
  readonly entries: readonly { readonly body: string; readonly signature: string }[]
}
