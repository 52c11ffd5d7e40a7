import { expect } from 'chai'
import express from 'express'
import { createServer, type RequestListener, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { endOnDeath, knell, type RoutePolicy } from '../../../shared/frameworks/express.ts'
import { guardContract, policies, seen, type App } from '../../support/guard-contract.ts'

async function listen(listener: RequestListener): Promise<App> {
  const server: Server = createServer({ maxHeaderSize: 32_768 }, listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

guardContract(
  'Express 5',
  async (options) => {
    const app = express()
    app.get('/public', (_request, response) => void response.json({}))
    for (const [path, policy] of Object.entries(policies)) {
      app.get(path, knell({ ...options, ...(policy as RoutePolicy) }), (request, response) => {
        response.json(seen(request))
      })
    }
    app.use(knell(options))
    app.get('/events', (request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: hello\n\n')
      if (request.knell === undefined) throw new Error('no token')
      endOnDeath(response, request.knell.signal, { exposeReason: true })
    })
    return listen(app)
  },
  { public: true },
)

guardContract('a server of Node’s own', (options) => {
  const events = knell(options)
  const guards = new Map(
    Object.entries(policies).map(([path, policy]) => [
      path,
      knell({ ...options, ...(policy as RoutePolicy) }),
    ]),
  )
  return listen((request, response) => {
    const path = new URL(request.url ?? '', 'http://x').pathname
    const guard = guards.get(path) ?? events
    guard(request, response, (error) => {
      if (error !== undefined) throw new Error('next was called with an error')
      const guarded = request as Parameters<typeof seen>[0] & { knell?: { signal: AbortSignal } }
      if (path !== '/events') {
        response.setHeader('content-type', 'application/json').end(JSON.stringify(seen(guarded)))
        return
      }
      if (guarded.knell === undefined) throw new Error('no token')
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: hello\n\n')
      endOnDeath(response, guarded.knell.signal, { exposeReason: true })
    })
  })
})

describe('the options of knell/express', () => {
  it('are checked at once, and everything wrong with them is told together', () => {
    const make = (): unknown =>
      knell({
        subscriber: {},
        realm: 'a\r\nb',
        exposeReasons: true,
        whenStale: 'maybe',
        maxStaleness: -1,
        tenant: 'not a tenant',
        getToken: 'cookie',
        optional: 'yes',
      } as never)
    expect(make).to.throw(TypeError)
    for (const part of [
      'subscriber must be',
      'realm must be',
      'exposeReasons is not an option; is it exposeReason?',
      'whenStale must be',
      'maxStaleness must be',
      'tenant must be',
      'getToken must be',
      'optional must be',
    ]) {
      expect(make).to.throw(part)
    }
    expect(() => knell(undefined as never)).to.throw(TypeError, 'must be an object')
  })
})
