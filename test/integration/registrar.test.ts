import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { createRegistrar, type Registrar } from '../../shared/issuer/index.ts'
import { eventually } from '../support/eventually.ts'
import { createKey, sign } from '../support/provider.ts'
import { createIssuer } from '../support/issuer.ts'
import { createSystem, now, type TestSystem } from '../support/system.ts'

const key = createKey('k')
const token = (jti: unknown, more: object = {}): string =>
  sign({ iss: 'i', sub: 'a', jti, exp: now() + 600, ...more }, key)

/** Answers `POST /v1/tokens` as it is told to, and keeps what came. */
class Stand {
  status = 201
  rejected: object[] = []
  readonly calls: string[][] = []
  holdMs = 0
  readonly #server: Server
  url = ''

  constructor() {
    this.#server = createServer((request, response) => {
      void (async () => {
        let text = ''
        for await (const chunk of request) text += String(chunk)
        const items = JSON.parse(text) as { token: string }[]
        this.calls.push(items.map((item) => item.token))
        const { rejected, status } = this
        const body = { registered: items.length - rejected.length, rejected }
        setTimeout(() => {
          response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
          response.end(JSON.stringify(body))
        }, this.holdMs)
      })()
    })
  }

  async open(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

describe('a registrar', function () {
  this.timeout(30_000)
  let stand: Stand
  let registrar: Registrar
  const problems: string[] = []
  beforeEach(async () => {
    problems.length = 0
    stand = await new Stand().open()
    registrar = make()
  })
  afterEach(async () => {
    await registrar.close()
    await stand.close()
  })
  const make = (more: object = {}): Registrar =>
    createRegistrar({
      url: stand.url,
      apiKey: 'secret',
      delayMs: 5,
      onProblem: ({ code }) => problems.push(code),
      ...more,
    })
  const sent = (): string[] => stand.calls.flat()

  it('registers each token once, in batches of at most 500', async () => {
    const tokens = Array.from({ length: 1200 }, (_, i) => token(`t-${i}`))
    for (let time = 0; time < 3; time++) for (const one of tokens) registrar.see(one)
    await eventually(() => registrar.stats.registered === 1200)
    expect(registrar.stats).to.deep.equal({ seen: 1200, registered: 1200, waiting: 0, dropped: {} })
    expect(sent()).to.have.length(1200)
    expect(new Set(sent()).size).to.equal(1200)
    expect(Math.max(...stand.calls.map(({ length }) => length))).to.be.at.most(500)
    registrar.see(token('t-1', { exp: now() + 700 }))
    await eventually(() => registrar.stats.registered === 1201, {
      what: 'the same jti, another exp',
    })
  })

  it('throws for nothing, and counts what it cannot register', async () => {
    registrar.see('junk')
    registrar.see(undefined as unknown as string)
    registrar.see(token(5))
    registrar.see(token('old', { exp: now() - 1 }))
    registrar.see(token('late', { exp: 'x' }))
    expect(registrar.stats.dropped).to.deep.equal({
      token_malformed: 2,
      no_jti: 1,
      token_expired: 1,
      token_claims_invalid: 1,
    })
    await registrar.close()
    registrar.see(token('after the end'))
    expect(stand.calls).to.deep.equal([])
  })

  it('keeps no more than it may while the notifier is slow, and takes them when seen again', async () => {
    stand.holdMs = 50
    const small = make({ maxWaiting: 10 })
    const tokens = Array.from({ length: 100 }, (_, i) => token(`t-${i}`))
    for (const one of tokens) small.see(one)
    expect(small.stats.waiting).to.equal(10)
    expect(small.stats.dropped).to.deep.equal({ full: 90 })
    await eventually(() => {
      for (const one of tokens) small.see(one)
      return small.stats.registered === 100
    })
    expect(new Set(sent()).size).to.equal(100)
    await small.close()
  })

  it('tries again while the notifier fails, and loses nothing', async () => {
    stand.status = 503
    for (let i = 0; i < 5; i++) registrar.see(token(`t-${i}`))
    await eventually(() => problems.length > 0)
    expect(registrar.stats).to.include({ registered: 0, waiting: 5 })
    stand.status = 201
    await eventually(() => registrar.stats.registered === 5)
    expect(registrar.stats).to.deep.include({ waiting: 0, dropped: {} })
  })

  it('drops, and says so, where its key may not register: trying again is no use', async () => {
    stand.status = 403
    registrar.see(token('t-1'))
    await eventually(() => registrar.stats.dropped['http_403'] === 1)
    expect(problems).to.deep.equal(['pull_failed'])
    expect(stand.calls).to.have.length(1)
  })

  it('counts what is refused by its code, and tries again only what may work later', async () => {
    stand.rejected = [
      { index: 0, code: 'quota_exceeded', message: '' },
      { index: 1, code: 'token_signature_invalid', message: '' },
    ]
    const [a, b, c] = ['a', 'b', 'c'].map((jti) => token(jti)) as [string, string, string]
    for (const one of [a, b, c]) registrar.see(one)
    await eventually(() => registrar.stats.registered === 1)
    expect(registrar.stats.dropped).to.deep.equal({ quota_exceeded: 1, token_signature_invalid: 1 })
    stand.rejected = []
    for (const one of [a, b, c]) registrar.see(one)
    await eventually(() => registrar.stats.registered === 2)
    expect(stand.calls[1]).to.deep.equal([a])
  })

  it('sends what waits when it closes, and gives up where nobody answers', async () => {
    const one = make({ delayMs: 60_000 })
    one.see(token('t-1'))
    await one.close()
    expect(one.stats).to.include({ registered: 1, waiting: 0 })
    const lost = make({ url: 'http://127.0.0.1:1', delayMs: 60_000 })
    lost.see(token('t-2'))
    await lost.close()
    await lost.close()
    expect(lost.stats).to.deep.include({ waiting: 0, dropped: { shutting_down: 1 } })
  })

  it('takes an answer that is no answer for what it is worth', async () => {
    stand.rejected = [null, { index: 99, code: 'toString' }, 'x'] as object[]
    registrar.see(token('t-1'))
    await eventually(() => stand.calls.length === 1)
    await registrar.close()
    expect(registrar.stats).to.include({ registered: 0, waiting: 0 })
  })

  it('refuses options with everything that is wrong with them', () => {
    expect(() =>
      createRegistrar({ url: ['ftp://x'], apiKey: '', tenant: 'a b', maxWaiting: 0 }),
    ).to.throw(TypeError, /url .*apiKey .*tenant .*maxWaiting /)
    const mixed = ['http://a', 'https://b']
    expect(() => createRegistrar({ url: mixed, apiKey: 's' })).to.throw(TypeError, /mix/)
    expect(() => createRegistrar({ url: [], apiKey: 's' })).to.throw(TypeError, /at least one/)
  })

  describe('with a notifier', () => {
    let system: TestSystem
    const issuer = createIssuer()
    before(async () => {
      system = createSystem({
        ISSUER: issuer.verify.issuer,
        JWT_KEYS: JSON.stringify(issuer.verify.keys),
      })
      await system.start('notifier')
    })
    after(() => system.stop())

    it('has the death of a token announced that it has only seen', async () => {
      const subscriber = await system.subscribe()
      const heard: string[] = []
      subscriber.on('expired', ({ jti }) => heard.push(jti))
      const own = createRegistrar({ url: system.urls(), apiKey: system.apiKey, delayMs: 5 })
      const short = { jti: 'short', exp: now() + 2 }
      own.see(issuer.token('alice', short))
      own.see(createIssuer().token('mallory', { ...short, jti: 'forged' }))
      await eventually(() => own.stats.registered === 1)
      expect(own.stats.dropped).to.deep.equal({ token_signature_invalid: 1 })
      await eventually(() => heard.length > 0)
      expect(heard).to.deep.equal(['short'])
      await own.close()
    })
  })
})
