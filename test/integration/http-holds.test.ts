import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { openTestStore } from '../support/store.ts'
import { createIssuer } from '../support/issuer.ts'
import {
  call,
  createSystem,
  now,
  oldToken,
  type Answer,
  type TestSystem,
} from '../support/system.ts'
import { keysOf } from '../support/redis.ts'

const UNDO = 'undo-secret-012345'
const WRITE = 'writer-secret-0123'
const READ = 'reader-secret-0123'
const OTHER = 'only-other-secret-01'

describe('the HTTP calls for holds, schedules and dry runs', function () {
  this.timeout(60_000)
  const issuer = createIssuer()
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    system = createSystem({
      ISSUER: issuer.verify.issuer,
      JWT_KEYS: JSON.stringify(issuer.verify.keys),
    })
    const keys = [
      `test=${system.apiKey}:*`,
      `undo=${UNDO}:revocations:undo`,
      `writer=${WRITE}:revocations:write`,
      `reader=${READ}:feed:read`,
      `other=${OTHER}:*@other`,
    ]
    notifier = await system.start('notifier', { API_KEYS: keys.join(' ') })
  })
  after(() => system.stop())

  const post = (path: string, body: unknown, key = system.apiKey): Promise<Answer> =>
    call(notifier, key, `/v1/revocations${path}`, body)
  const get = (path: string, key = system.apiKey): Promise<Answer> => call(notifier, key, path)
  const codeOf = async (sub: string): Promise<unknown> =>
    (
      await call(notifier, system.apiKey, '/v1/check', {
        claims: { ...oldToken(), sub },
        header: {},
      })
    ).body['code']
  async function remove(
    path: string,
    key = system.apiKey,
    more: Readonly<Record<string, string>> = {},
  ): Promise<[number, unknown]> {
    const headers = { authorization: `Bearer ${key}`, connection: 'close', ...more }
    const response = await fetch(notifier.url + path, { method: 'DELETE', headers })
    return [response.status, ((await response.json()) as { code?: unknown }).code]
  }
  const match = { sub: 'refused' }
  const good = (): { reviewBy: number; outcome: string } => ({
    reviewBy: now() + 500,
    outcome: 'release',
  })
  const refused: [string, string, () => object, number, string][] = [
    ['a hold of nothing', '', () => ({ hold: good() }), 400, 'invalid_request'],
    [
      'a hold without an end',
      '',
      () => ({ match, hold: { outcome: 'revoke' } }),
      400,
      'invalid_request',
    ],
    [
      'a hold without an outcome',
      '',
      () => ({ match, hold: { reviewBy: now() + 9 } }),
      400,
      'invalid_request',
    ],
    [
      'an outcome nobody knows',
      '',
      () => ({ match, hold: { ...good(), outcome: 'ask' } }),
      400,
      'invalid_request',
    ],
    [
      'an unknown member of a hold',
      '',
      () => ({ match, hold: { ...good(), by: 'x' } }),
      400,
      'invalid_request',
    ],
    [
      'a reviewBy in ms',
      '',
      () => ({ match, hold: { ...good(), reviewBy: Date.now() + 5000 } }),
      400,
      'invalid_request',
    ],
    [
      'a reviewBy with a fraction',
      '',
      () => ({ match, hold: { ...good(), reviewBy: now() + 5.5 } }),
      400,
      'invalid_request',
    ],
    [
      'a reviewBy as text',
      '',
      () => ({ match, hold: { ...good(), reviewBy: `${now() + 5}` } }),
      400,
      'invalid_request',
    ],
    [
      'a reviewBy of null',
      '',
      () => ({ match, hold: { ...good(), reviewBy: null } }),
      400,
      'invalid_request',
    ],
    [
      'a reviewBy in the past',
      '',
      () => ({ match, hold: { ...good(), reviewBy: now() - 5 } }),
      422,
      'time_out_of_range',
    ],
    [
      'a reviewBy too far ahead',
      '',
      () => ({ match, hold: { ...good(), reviewBy: now() + 367 * 86_400 } }),
      422,
      'time_out_of_range',
    ],
    [
      'a hold with a cut-off',
      '',
      () => ({ match, hold: good(), issuedBefore: now() }),
      400,
      'invalid_request',
    ],
    [
      'a hold with an exception',
      '',
      () => ({ match, hold: good(), except: { sid: 's' } }),
      400,
      'invalid_request',
    ],
    ['an at in ms', '', () => ({ match, at: Date.now() + 5000 }), 400, 'invalid_request'],
    ['an at in the past', '', () => ({ match, at: now() - 5 }), 422, 'time_out_of_range'],
    [
      'an at too far ahead',
      '',
      () => ({ match, at: now() + 367 * 86_400 }),
      422,
      'time_out_of_range',
    ],
    [
      'a hold that ends before it begins',
      '',
      () => ({ match, at: now() + 900, hold: good() }),
      422,
      'time_out_of_range',
    ],
    [
      'an issuedBefore past at',
      '',
      () => ({ match, at: now() + 9, issuedBefore: now() + 99 }),
      422,
      'issued_before_in_future',
    ],
    [
      'a token that dies before at',
      '',
      () => ({ token: issuer.token('s', { jti: 'j', exp: now() + 50 }), at: now() + 60 }),
      400,
      'invalid_request',
    ],
    ['a dryRun that is none', '', () => ({ match, dryRun: 'yes' }), 400, 'invalid_request'],
    [
      'a dry run of what is refused',
      '',
      () => ({ match, dryRun: true, at: now() - 5 }),
      422,
      'time_out_of_range',
    ],
    ['a release of nothing', '/release', () => ({}), 400, 'invalid_request'],
    ['a release by id', '/release', () => ({ id: 'r1-1-1-1' }), 400, 'invalid_request'],
    ['a release of a bad match', '/release', () => ({ match: { sub: '' } }), 400, 'invalid_match'],
    ['a release of what nobody held', '/release', () => ({ match }), 404, 'unknown_revocation'],
    [
      'a restore of another shard’s id',
      '/restore',
      () => ({ id: `s99-${'a'.repeat(20)}` }),
      404,
      'unknown_revocation',
    ],
    [
      'a restore of an id of another form',
      '/restore',
      () => ({ id: 'dry-run' }),
      400,
      'invalid_request',
    ],
  ]
  for (const [title, path, body, status, code] of refused) {
    it(`refuse ${title}`, async () => {
      const answer = await post(path, body())
      expect([answer.status, answer.body['code']]).to.deep.equal([status, code])
      if (title.endsWith('in ms')) expect(answer.body['detail']).to.contain('milliseconds')
      expect((await get('/v1/revocations?sub=refused')).body['rule']).to.equal(null)
    })
  }

  it('need the same scope to hold or schedule as to revoke, and another to undo', async () => {
    const at = now() + 900
    for (const more of [
      { hold: good() },
      { at },
      { at, hold: { ...good(), reviewBy: at + 5 } },
      { dryRun: true },
    ]) {
      const mass = await post('', { match: { client_id: 'web' }, ...more }, WRITE)
      expect(mass.body['code']).to.equal('forbidden')
      expect((await post('', { match: { sub: 'a' }, ...more }, READ)).body['code']).to.equal(
        'forbidden',
      )
      expect((await post('', { match: { sub: 'a' }, ...more }, UNDO)).body['code']).to.equal(
        'forbidden',
      )
      expect((await post('', { match: { sub: 'scope' }, ...more }, WRITE)).status).to.be.below(300)
    }
    for (const key of [WRITE, READ]) {
      expect((await post('/release', { match: { sub: 'scope' } }, key)).status).to.equal(403)
      expect((await get('/v1/schedules', key)).status).to.equal(403)
      expect((await remove(`/v1/schedules?id=s0-${'a'.repeat(20)}`, key))[0]).to.equal(403)
    }
    expect((await post('/release', { match: { sub: 'scope' } }, UNDO)).status).to.equal(200)
    expect((await get('/v1/schedules', UNDO)).status).to.equal(200)
    expect((await get('/v1/schedules', OTHER)).status).to.equal(403)
    expect((await remove(`/v1/schedules?id=s0-${'a'.repeat(20)}`, OTHER))[0]).to.equal(403)
  })

  it('hold, say so in a check and in the rule, join, and release', async () => {
    const { reviewBy } = good()
    const first = await post('', { match: { sub: 'h' }, hold: { reviewBy, outcome: 'revoke' } })
    expect(first.status).to.equal(201)
    expect(await codeOf('h')).to.equal('held')
    const joined = await post('', {
      match: { sub: 'h' },
      hold: { ...good(), reviewBy: reviewBy - 9 },
    })
    expect(joined.body).to.deep.equal(first.body)
    const rule = (await get('/v1/revocations?sub=h')).body['rule']
    expect(rule).to.include({ held: true, holdId: first.body['id'], reviewBy, outcome: 'revoke' })
    const page = (await get('/v1/revocations?limit=1000')).body['rules'] as { holdId?: string }[]
    expect(page.some(({ holdId }) => holdId === first.body['id'])).to.equal(true)
    const released = await post('/release', { match: { sub: 'h' } })
    expect(released.body).to.deep.include({ lifted: [first.body['id']], match: { sub: 'h' } })
    expect((await post('/release', { match: { sub: 'h' } })).body['lifted']).to.deep.equal([])
    expect(await codeOf('h')).to.equal('active')
  })

  it('hold the kid of a key, for which a check needs the header', async () => {
    const held = await post('', { match: { kid: 'held' }, hold: good() })
    expect(held.status).to.equal(201)
    const check = async (header?: object): Promise<unknown> => {
      const body = { claims: { ...oldToken(), sub: 'x' }, header }
      return (await call(notifier, system.apiKey, '/v1/check', body)).body['code']
    }
    expect([await check(), await check({ kid: 'held' })]).to.deep.equal(['header_needed', 'held'])
    await post('/restore', { id: held.body['id'] })
    expect(await check()).to.equal('active')
  })

  it('hold and schedule a token by itself', async () => {
    const token = issuer.token('s', { jti: 'by-token' })
    const held = await post('', { token, hold: good() })
    expect(held.body).to.include({ held: true })
    const kept = await post('', { token, at: now() + 300 })
    expect(kept.body).to.deep.include({ match: { jti: 'by-token' }, scheduled: true })
    expect(await remove(`/v1/schedules?id=${String(kept.body['id'])}`)).to.deep.equal([
      200,
      undefined,
    ])
  })

  it('refuse ids, cursors and limits of another form', async () => {
    for (const path of ['?cursor=x', '?cursor=1.s0-zz', '?limit=0', '?limit=1001', '?colour=red']) {
      expect((await get(`/v1/schedules${path}`)).body['code']).to.equal('invalid_request')
    }
    expect(await remove('/v1/schedules')).to.deep.equal([400, 'invalid_request'])
    expect(await remove('/v1/schedules?id=r1-1-1-1')).to.deep.equal([400, 'invalid_request'])
    const nobody = 'b'.repeat(20)
    expect(await remove(`/v1/schedules?id=s1-${nobody}`)).to.deep.equal([404, 'unknown_schedule'])
    expect(await remove(`/v1/schedules?id=s77-${nobody}`)).to.deep.equal([404, 'unknown_schedule'])
    // Clients that name a type with every request send no body with this one all the same.
    const typed = { 'content-type': 'application/json' }
    expect(await remove(`/v1/schedules?id=s1-${nobody}`, system.apiKey, typed)).to.deep.equal([
      404,
      'unknown_schedule',
    ])
  })

  it('list schedules page by page with what they were made of', async () => {
    const at = now() + 5000
    const made: unknown[] = []
    for (let i = 0; i < 5; i++) {
      const body = {
        match: { sub: `l${i}` },
        at: at + i,
        except: { sid: 's' },
        issuedBefore: at - 5,
      }
      made.push((await post('', { ...body, reason: 'breach' })).body['id'])
    }
    const listed: Record<string, unknown>[] = []
    let cursor: unknown = ''
    do {
      const { body } = await get(
        `/v1/schedules?limit=2${cursor === '' ? '' : `&cursor=${String(cursor)}`}`,
      )
      listed.push(...(body['schedules'] as Record<string, unknown>[]))
      cursor = body['next']
    } while (cursor !== undefined)
    const mine = listed.filter(({ at: when }) => Number(when) >= at)
    expect(mine.map(({ id }) => id)).to.deep.equal(made)
    expect(mine[2]).to.deep.equal({
      id: made[2],
      at: at + 2,
      match: { sub: 'l2' },
      reason: 'breach',
      issuedBefore: at - 5,
      except: { sid: 's' },
    })
  })

  it('answer a retry under the same Idempotency-Key with the first answer', async () => {
    const bodies: [string, object][] = [
      ['', { match: { sub: 'i' }, hold: good() }],
      ['', { match: { sub: 'i' }, at: now() + 800 }],
      ['/release', { match: { sub: 'i' } }],
    ]
    for (const [i, [path, body]] of bodies.entries()) {
      const headers = { 'idempotency-key': `holds-${i}` }
      const send = () => call(notifier, system.apiKey, `/v1/revocations${path}`, body, headers)
      const first = await send()
      expect(first.status).to.be.below(300)
      expect((await send()).body).to.deep.equal(first.body)
    }
  })

  it('say in a dry run what would be, with the tokens it would hit, and change nothing', async () => {
    const exp = now() + 900
    for (let i = 0; i < 7; i++) {
      const claims = { jti: `dry-${i}`, sub: 'dry', sid: `s${i}`, exp }
      await call(notifier, system.apiKey, '/v1/tokens', { claims })
    }
    const store = openTestStore({ namespace: system.namespace })
    const feeds = async (): Promise<unknown[]> => {
      const { tails } = await store.feed.state('default')
      const { keys, redis } = store.store
      const names = await keysOf(redis, `${system.namespace}:*`)
      const kept = names.filter((name) => !/:c:|:meta$|:i:|sweeps|\{t-/.test(name)).sort()
      const dumps = kept.map(async (name) => (await redis.dumpBuffer(name))?.toString('hex'))
      return [tails, kept, await Promise.all(dumps), await redis.exists(keys.due)]
    }
    try {
      const before = await feeds()
      const asked: [string, object, object | null][] = [
        ['', { match: { sub: 'dry' } }, { tokens: 7, complete: true }],
        ['', { match: { sub: 'dry' }, except: { sid: 's1' } }, { tokens: 6, complete: true }],
        [
          '',
          { match: { sub: 'dry' }, issuedBefore: 5 },
          { tokens: 7, complete: true, atMost: true },
        ],
        ['', { match: { sub: 'dry' }, at: exp - 1 }, { tokens: 7, complete: true }],
        ['', { match: { sub: 'dry' }, at: exp }, { tokens: 0, complete: true }],
        ['', { match: { sub: 'dry' }, hold: good() }, { tokens: 7, complete: true }],
        ['', { match: { aud: 'dry' } }, null],
      ]
      for (const [path, body, hits] of asked) {
        const headers = { 'idempotency-key': 'dry' }
        const all = { ...body, dryRun: true }
        const answer = await call(notifier, system.apiKey, `/v1/revocations${path}`, all, headers)
        expect(answer.status).to.equal(200)
        expect(answer.body).to.deep.include({ dryRun: true, current: null, hits })
        expect(answer.body['rule']).to.be.an('object')
      }
      expect(await feeds()).to.deep.equal(before)
    } finally {
      store.store.close()
    }
    const made = await post('', { match: { sub: 'dry' } })
    const undo = await post('/restore', { id: made.body['id'], dryRun: true })
    expect(undo.body).to.deep.include({
      dryRun: true,
      lifted: [made.body['id']],
      match: { sub: 'dry' },
    })
    expect(await codeOf('dry')).to.equal('revoked')
  })
})
