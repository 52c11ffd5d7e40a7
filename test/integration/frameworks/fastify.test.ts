import { expect } from 'chai'
import Fastify, { type FastifyInstance } from 'fastify'
import {
  endOnDeath,
  knell,
  type KnellFastifyOptions,
  type RoutePolicy,
} from '../../../shared/frameworks/fastify.ts'
import { guardContract, policies, seen, type App } from '../../support/guard-contract.ts'
import { get } from '../../support/http-call.ts'

type Policy = RoutePolicy

/** Where the plugin is registered, the routes of another plugin are guarded too. */
async function listen(fastify: FastifyInstance): Promise<App> {
  const url = await fastify.listen({ host: '127.0.0.1', port: 0 })
  return { url, close: () => fastify.close() }
}

function create(): FastifyInstance {
  return Fastify({ http: { maxHeaderSize: 32_768 }, forceCloseConnections: true })
}

function addEvents(fastify: FastifyInstance, hooks: object = {}): void {
  fastify.get('/events', hooks, (request, reply) => {
    if (request.knell === undefined) throw new Error('no token')
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    reply.raw.write('data: hello\n\n')
    endOnDeath(reply.raw, request.knell.signal, { exposeReason: true })
  })
}

guardContract(
  'Fastify 5',
  async (options) => {
    const fastify = create()
    await fastify.register(knell, options as KnellFastifyOptions)
    await fastify.register(async (scope) => {
      for (const [path, policy] of Object.entries(policies)) {
        const config = policy === undefined ? {} : { knell: policy as Policy }
        scope.get(path, { config }, async (request) => Promise.resolve(seen(request)))
      }
      scope.get('/public', { config: { knell: false } }, async () => Promise.resolve({}))
      addEvents(scope)
      await Promise.resolve()
    })
    return listen(fastify)
  },
  { public: true },
)

guardContract(
  'Fastify 5, route by route',
  async (options) => {
    const fastify = create()
    await fastify.register(knell, { ...(options as KnellFastifyOptions), global: false })
    for (const [path, policy] of Object.entries(policies)) {
      const onRequest = fastify.knell(policy as Policy | undefined)
      fastify.get(path, { onRequest }, async (request) => Promise.resolve(seen(request)))
    }
    fastify.get('/public', async () => Promise.resolve({}))
    addEvents(fastify, { onRequest: fastify.knell() })
    return listen(fastify)
  },
  { public: true },
)

describe('knell/fastify', () => {
  /** Is never asked for a decision by these tests. */
  const subscriber = {
    verify: () => Promise.reject(new Error('not here')),
    policy: (policy: object) => policy as never,
    signal: () => AbortSignal.abort(),
  }

  it('does not start with unusable options', async () => {
    const fastify = create()
    let problem: unknown
    await Promise.resolve(
      fastify.register(knell, { subscriber, realms: 'x', optional: 1, global: 'no' } as never),
    ).catch((error: unknown) => void (problem = error))
    expect(problem).to.be.an.instanceOf(TypeError)
    for (const part of ['realms is not an option; is it realm?', 'optional must', 'global must'])
      expect(String(problem)).to.contain(part)
    await fastify.close()
  })

  it('does not start with an unusable policy of a route', async () => {
    const fastify = create()
    await fastify.register(knell, { subscriber })
    const add = (policy: unknown): unknown =>
      fastify.get(`/${Math.random()}`, { config: { knell: policy as never } }, () => 'x')
    expect(() => add({ whenStale: 'never' })).to.throw(TypeError, 'whenStale must be')
    expect(() => add(true)).to.throw(TypeError, 'must be an object')
    expect(() => fastify.knell({ subscriber } as never)).to.throw(TypeError, 'subscriber is not')
    await fastify.close()
  })

  it('guards paths that do not exist as well, and holds for its own scope only', async () => {
    const fastify = create()
    await fastify.register(async (scope) => {
      await scope.register(knell, { subscriber })
      scope.get('/inside', () => 'x')
    })
    fastify.get('/outside', () => 'x')
    const other = create()
    await other.register(knell, { subscriber })
    const [one, two] = [await listen(fastify), await listen(other)]
    expect((await get(`${one.url}/inside`)).status).to.equal(401)
    expect((await get(`${one.url}/outside`)).status).to.equal(200)
    expect((await get(`${two.url}/nowhere`)).status).to.equal(401)
    await Promise.all([one.close(), two.close()])
  })

  it('lets nobody in to a route that was added before it, with a policy it never saw', async () => {
    const fastify = create()
    fastify.get('/early', { config: { knell: { optional: true } } }, () => 'x')
    await fastify.register(knell, { subscriber })
    const app = await listen(fastify)
    expect((await get(`${app.url}/early`)).status).to.equal(500)
    await app.close()
  })
})
