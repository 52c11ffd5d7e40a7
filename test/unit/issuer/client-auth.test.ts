import { expect } from 'chai'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { pino } from 'pino'
import { z } from 'zod'
import { addOAuthRoom } from '../../../notifier/issuer/oauth-room.ts'
import { formSchema, parseForm } from '../../../notifier/issuer/oauth-form.ts'
import { parseClients } from '../../../shared/config/clients.ts'
import { KnellError } from '../../../shared/domain/errors.ts'
import { LIMITS } from '../../../shared/http/limits.ts'
import type { Services } from '../../../shared/http/services.ts'

const SECRET = 'correct horse+battery%:é?'.replace('é', 'e')
const FORM = 'application/x-www-form-urlencoded'

/** A room with one call that says who calls; where `fault` is given it fails with that. */
function createRoom(failures: number, fault?: Error): FastifyInstance {
  const app = Fastify()
  app.decorate('limits', { ...LIMITS, failures })
  const clients = parseClients({ 'sh:op': { secret: SECRET }, app: {} })
  const settings = { clients, clientsFile: undefined, tenants: new Map() }
  const health = { assertServing: () => {} }
  const services = { settings, health, log: pino({ level: 'silent' }) } as unknown as Services
  addOAuthRoom(app, services, (room) => {
    room.app.post('/oauth/who', { config: { isOpen: true } }, (request, reply) => {
      const { clientId } = room.clients.authenticate(request, reply)
      if (fault !== undefined) throw fault
      return { clientId }
    })
  })
  return app
}

const encode = (text: string): string => encodeURIComponent(text).replaceAll('%20', '+')
const basic = (id: string, secret: string): string =>
  `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`

describe('client authentication', () => {
  const room = createRoom(1000)
  const ask = (payload: string, headers: Record<string, string> = {}, more: InjectOptions = {}) =>
    room.inject({
      method: 'POST',
      url: '/oauth/who',
      headers: { 'content-type': FORM, ...headers },
      payload,
      ...more,
    })

  const good: [string, string, Record<string, string>, string][] = [
    ['a secret in the header', 'token=x', { authorization: basic('sh:op', SECRET) }, 'sh:op'],
    ['a secret in the body', `client_id=sh:op&client_secret=${encode(SECRET)}`, {}, 'sh:op'],
    [
      'a secret in the header and its own id in the body',
      'client_id=sh%3Aop',
      { authorization: basic('sh:op', SECRET) },
      'sh:op',
    ],
    ['the id of a public client', 'client_id=app', {}, 'app'],
    ['the id of a public client with an empty secret', 'client_id=app&client_secret=', {}, 'app'],
    ['a public client in the header', '', { authorization: basic('app', '') }, 'app'],
  ]
  for (const [what, payload, headers, clientId] of good) {
    it(`takes ${what}`, async () => {
      const answer = await ask(payload, headers)
      expect(answer.json()).to.deep.equal({ clientId })
    })
  }

  const header = { authorization: basic('sh:op', SECRET) }
  const bad: [string, string, Record<string, string>, number, string][] = [
    ['nothing', '', {}, 401, 'invalid_client'],
    ['an unknown client', 'client_id=nobody', {}, 401, 'invalid_client'],
    ['a client with a secret that sends none', 'client_id=sh:op', {}, 401, 'invalid_client'],
    ['a wrong secret', 'client_id=sh:op&client_secret=wrong', {}, 401, 'invalid_client'],
    ['a public client with a secret', 'client_id=app&client_secret=x', {}, 401, 'invalid_client'],
    [
      'a wrong secret in the header',
      '',
      { authorization: basic('sh:op', 'x') },
      401,
      'invalid_client',
    ],
    ['Basic of nothing', '', { authorization: 'Basic ' }, 401, 'invalid_client'],
    [
      'Basic of a broken escape',
      '',
      { authorization: `Basic ${btoa('a%:%')}` },
      401,
      'invalid_client',
    ],
    ['an API key', '', { authorization: 'Bearer x' }, 401, 'invalid_client'],
    ['secrets in both places', `client_secret=${encode(SECRET)}`, header, 400, 'invalid_request'],
    ['two different ids', 'client_id=app', header, 400, 'invalid_request'],
    ['a repeated parameter', 'client_id=app&client_id=app', {}, 400, 'invalid_request'],
    [
      'a parameter that repeats in disguise',
      'client_id=app&client%5fid=app',
      {},
      400,
      'invalid_request',
    ],
    ['broken escapes', 'client_id=%ff', {}, 400, 'invalid_request'],
    ['JSON', '{"client_id":"app"}', { 'content-type': 'application/json' }, 415, 'invalid_request'],
    ['a huge body', `client_id=app&x=${'x'.repeat(33_000)}`, {}, 413, 'invalid_request'],
  ]
  for (const [what, payload, headers, status, error] of bad) {
    it(`refuses ${what}`, async () => {
      const answer = await ask(payload, headers)
      expect(answer.statusCode).to.equal(status)
      const { error_description: description, ...rest } = answer.json<Record<string, string>>()
      expect(rest).to.deep.equal({ error })
      expect(description).to.match(/^[ !#-[\]-~]+$/)
      expect(answer.headers['content-type']).to.match(/^application\/json/)
      expect(answer.headers['cache-control']).to.equal('no-store')
      const challenge = answer.headers['www-authenticate']
      expect(challenge).to.equal(status === 401 ? 'Basic realm="knell"' : undefined)
    })
  }

  it('takes nothing from the query', async () => {
    const answer = await ask('', {}, { url: '/oauth/who?client_id=app' })
    expect([answer.statusCode, answer.json<{ error: string }>().error]).to.deep.equal([
      400,
      'invalid_request',
    ])
  })

  it('is asked for by no other method, nor by paths that are none', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
      const answer = await room.inject({ method, url: '/oauth/who' })
      expect([method, answer.statusCode, answer.headers.allow]).to.deep.equal([method, 405, 'POST'])
    }
    const nowhere = await ask('', {}, { url: '/oauth/nowhere' })
    expect([nowhere.statusCode, nowhere.json<{ error: string }>().error]).to.deep.equal([
      404,
      'invalid_request',
    ])
  })

  it('fails 20 times from one address, then waits, and lets a right client in all the same', async () => {
    const limited = createRoom(20)
    const from = (payload: string) =>
      limited.inject({
        method: 'POST',
        url: '/oauth/who',
        headers: { 'content-type': FORM },
        payload,
      })
    for (let i = 0; i < 20; i++) expect((await from('client_id=no')).statusCode).to.equal(401)
    const late = await from('client_id=no')
    expect([late.statusCode, late.json<{ error: string }>().error]).to.deep.equal([
      429,
      'temporarily_unavailable',
    ])
    expect(Number(late.headers['retry-after'])).to.be.greaterThan(0)
    expect((await from('client_id=app')).statusCode).to.equal(200)
  })

  it('answers faults of ours without a word about them', async () => {
    const broken = createRoom(20, new Error('the secret of all'))
    const away = createRoom(20, new KnellError('store_unavailable', 'The store is away.'))
    const call = { method: 'POST', url: '/oauth/who', headers: { 'content-type': FORM } } as const
    const fault = await broken.inject({ ...call, payload: 'client_id=app' })
    expect([fault.statusCode, fault.json<{ error: string }>().error]).to.deep.equal([
      500,
      'server_error',
    ])
    expect(fault.body).not.to.contain('secret of all')
    const later = await away.inject({ ...call, payload: 'client_id=app' })
    expect([later.statusCode, later.json<{ error: string }>().error]).to.deep.equal([
      503,
      'temporarily_unavailable',
    ])
    expect(later.headers['retry-after']).to.equal('1')
  })
})

describe('a form', () => {
  it('is read as RFC 6749, appendix B, has it', () => {
    const form = parseForm('a=+%25%26%2B%C2%A3%E2%82%AC&b=&c&=d&__proto__=p&e=f=g&')
    expect(form.get('a')).to.equal(' %&+£€')
    expect([form.get('b'), form.get('c')]).to.deep.equal([undefined, undefined])
    expect([form.get('__proto__'), form.get('e')]).to.deep.equal(['p', 'f=g'])
    expect(form.get('constructor')).to.equal(undefined)
    expect(form.read(formSchema({ e: z.string() }))).to.deep.equal({ e: 'f=g' })
    expect(() => form.read(formSchema({ b: z.string() }))).to.throw('form is not acceptable: b:')
  })
})
