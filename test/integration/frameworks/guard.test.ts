import { expect } from 'chai'
import {
  createGuard,
  type GuardedRequest,
  type GuardSubscriber,
} from '../../../shared/frameworks/index.ts'
import type { VerifyResult } from '../../../shared/subscriber/index.ts'
import { eventually } from '../../support/eventually.ts'
import { createIssuer } from '../../support/issuer.ts'
import { call, createSystem } from '../../support/system.ts'

const request = (headers: Record<string, string> = {}): GuardedRequest => ({ headers })
const withToken = request({ authorization: 'Bearer x' })

/** Answers what it is told to, however strange: what comes of a fault or of a hostile poller. */
function answering(result: unknown): GuardSubscriber {
  return {
    verify: () => Promise.resolve(result as VerifyResult),
    policy: (policy) => policy as never,
    signal: () => AbortSignal.abort(),
  }
}

/** What a guard says on the console while this runs. */
async function consoleOf(run: () => Promise<unknown>): Promise<unknown[][]> {
  const lines: unknown[][] = []
  const { error } = console
  console.error = (...args: unknown[]) => void lines.push(args)
  try {
    await run()
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    console.error = error
  }
  return lines
}

describe('a guard', function () {
  this.timeout(60_000)

  it('passes on nothing of a decision that could end a header or a text', async () => {
    const evil = 'x"\r\nset-cookie: a=b\\'
    const decision = { active: false, code: evil, reason: evil, asOf: 0, staleMs: 0 }
    for (const one of [decision, { ...decision, code: 'revoked' }]) {
      const guard = createGuard({ subscriber: answering(one), exposeReason: true })
      const outcome = await guard(withToken)
      expect(JSON.stringify(outcome.ok ? {} : [outcome.headers, outcome.body])).to.not.match(
        /set-cookie|\\r|\\n/,
      )
      expect(outcome).to.include({ ok: false, status: 401 })
    }
  })

  it('lets nobody through on an answer that is no decision', async () => {
    const strange = [
      undefined,
      null,
      {},
      { active: 'no' },
      { active: true },
      { active: true, code: 'active', claims: {} },
      { active: true, code: 'active', claims: {}, header: {} },
    ]
    for (const result of strange) {
      const guard = createGuard({ subscriber: answering(result), onRefused() {} })
      const outcome = await guard(withToken)
      expect(outcome.ok, JSON.stringify(result)).to.equal(false)
    }
  })

  it('says a fault on the console where nobody else hears of it', async () => {
    const fault = new Error('no store')
    const subscriber = { ...answering(undefined), verify: () => Promise.reject(fault) }
    const guard = createGuard({ subscriber })
    const lines = await consoleOf(async () =>
      expect(await guard(withToken)).to.include({ status: 500, cause: fault }),
    )
    expect(lines).to.have.length(1)
    const heard: unknown[] = []
    const listened = createGuard({ subscriber, onRefused: ({ cause }) => void heard.push(cause) })
    expect(await consoleOf(() => listened(withToken))).to.deep.equal([])
    expect(heard).to.deep.equal([fault])
  })

  it('answers the same whatever its hook throws', async () => {
    for (const onRefused of [
      () => {
        throw new Error('hook')
      },
      () => Promise.reject(new Error('hook')),
    ]) {
      const guard = createGuard({ subscriber: answering(undefined), onRefused })
      const lines = await consoleOf(async () =>
        expect(await guard(request())).to.include({ status: 401 }),
      )
      expect(lines).to.have.length(1)
    }
  })

  it('lifts nothing by a policy whose members are undefined, and is not changed from outside', async () => {
    const seen: unknown[] = []
    const subscriber: GuardSubscriber = {
      ...answering({ active: false, code: 'revoked' }),
      verify: (_token, options) => {
        seen.push(options)
        return Promise.resolve({ active: false, code: 'revoked' } as VerifyResult)
      },
    }
    const options = { subscriber, tenant: 'shop', maxStaleness: 5 }
    const guard = createGuard(options)
    options.tenant = 'other'
    await guard.with({ tenant: undefined, whenStale: undefined } as never)(withToken)
    expect(seen).to.deep.equal([{ maxStaleness: 5, tenant: 'shop' }])
  })

  it('makes a signal only when it is asked for one, and only one', async () => {
    let signals = 0
    const result = { active: true, code: 'active', claims: {}, header: {}, tenant: 'default' }
    const subscriber: GuardSubscriber = {
      ...answering(result),
      signal: () => {
        signals += 1
        return new AbortController().signal
      },
    }
    const outcome = await createGuard({ subscriber })(withToken)
    expect(signals).to.equal(0)
    const knell = outcome.ok ? outcome.knell : undefined
    expect(knell?.signal).to.be.an.instanceOf(AbortSignal).and.equal(knell?.signal)
    expect(signals).to.equal(1)
  })

  it('reads the head of Node’s own request, whatever was put into its raw', async () => {
    const seen: string[] = []
    const subscriber: GuardSubscriber = {
      ...answering(undefined),
      verify: (token) => {
        seen.push(token)
        return Promise.resolve({ active: false, code: 'revoked' } as VerifyResult)
      },
    }
    const guard = createGuard({ subscriber })
    const own = { headers: { authorization: 'Bearer own' } }
    const raw = { headers: { authorization: 'Bearer raw' }, rawHeaders: [] }
    await guard({ ...own, rawHeaders: [], raw })
    await guard({ ...own, raw })
    expect(seen).to.deep.equal(['own', 'raw'])
    const twice = ['Authorization', 'Bearer own', 'aUTHORIZATION', 'Bearer own']
    expect(await guard({ ...own, rawHeaders: twice })).to.include({ status: 400 })
    expect(await guard({ ...own, raw: { ...raw, rawHeaders: twice } })).to.include({ status: 400 })
  })

  it('lets a dead token in where the subscriber only observes, and says so', async () => {
    const system = createSystem({ BEAT: '300ms' })
    const notifier = await system.start('notifier')
    const issuer = createIssuer()
    try {
      const subscriber = await system.subscribe({
        mode: 'observe',
        verify: issuer.verify,
        log: { debug() {}, info() {}, warn() {} },
      })
      const guard = createGuard({ subscriber })
      const head = request({ authorization: `Bearer ${issuer.token('alice')}` })
      await call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'alice' } })
      await eventually(async () => {
        const outcome = await guard(head)
        expect(outcome.ok).to.equal(true)
        return outcome.ok && outcome.knell?.decision.observed === true
      })
      expect(await guard(request({ authorization: 'Bearer x' }))).to.include({ status: 401 })
    } finally {
      await system.stop()
    }
  })

  it('answers 503 before the first snapshot, and once its subscriber is closed', async () => {
    const system = createSystem()
    const poller = await system.start('poller')
    const issuer = createIssuer()
    const head = request({ authorization: `Bearer ${issuer.token('alice')}` })
    try {
      const options = { verify: issuer.verify, maxStaleness: 1000 }
      const closed = await system.subscribe(options)
      await closed.close()
      const guard = createGuard({ subscriber: closed })
      await eventually(async () => {
        const outcome = await guard(head)
        return !outcome.ok && outcome.status === 503 && outcome.code === 'stale'
      })
      await poller.kill()
      const early = await system.subscribe({ ...options, waitReady: false })
      const outcome = await createGuard({ subscriber: early })(head)
      expect(outcome).to.include({ status: 503, code: 'not_ready' })
      expect(outcome.ok ? {} : outcome.headers).to.have.property('retry-after')
    } finally {
      await system.stop()
    }
  })

  it('has the store told of its policy before any request came', async () => {
    const system = createSystem()
    await system.start('notifier')
    try {
      const subscriber = await system.subscribe({ maxStaleness: 1500 })
      const awaitedMs = (): number | null => subscriber.freshness().awaitedMs
      expect(awaitedMs()).to.equal(1500)
      createGuard({ subscriber }).with({ maxStaleness: 4000 })
      await eventually(() => awaitedMs() === 4000)
      createGuard({ subscriber, whenStale: 'allow' })
      await eventually(() => awaitedMs() === null)
    } finally {
      await system.stop()
    }
  })
})
