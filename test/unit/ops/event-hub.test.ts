import { expect } from 'chai'
import Fastify, { type FastifyInstance } from 'fastify'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import pino from 'pino'
import { EventHub } from '../../../notifier/ops/event-hub.ts'
import type { ApiKey } from '../../../shared/config/api-keys.ts'
import type { Auth } from '../../../shared/http/auth.ts'
import { eventually } from '../../support/eventually.ts'
import { open, readEvents } from '../../support/ops-session.ts'

/** More than the buffers of a socket take. */
const LARGE = JSON.stringify({ text: 'x'.repeat(8_000_000) })

function keyOf(...scopes: ('ops:read' | 'feed:read')[]): ApiKey {
  return {
    name: 'ops',
    scopes: new Set(scopes),
    tenants: '*',
    allows: (scope) => scopes.some((each) => each === scope),
    mayUse: () => true,
  }
}

describe('the stream of the dashboard', function () {
  this.timeout(30_000)
  const keys = new Map<string, ApiKey>()
  const responses: ServerResponse[] = []
  let app: FastifyInstance
  let hub: EventHub
  let url: string
  let payload = '{}'
  /** What a stream that opens waits for, as for its session. */
  let opening: Promise<void> = Promise.resolve()

  beforeEach(async () => {
    keys.clear()
    responses.length = 0
    payload = '{}'
    opening = Promise.resolve()
    app = Fastify()
    const identify: Auth['identify'] = async ({ headers }) => {
      await Promise.resolve()
      return keys.get(headers.cookie ?? '')
    }
    app.decorate('auth', { identify } as Auth)
    hub = new EventHub({
      app,
      log: pino({ level: 'silent' }),
      ownRead: ({ headers }) => ({ cookie: headers.cookie ?? '' }),
    })
    app.addHook('preClose', () => hub.stop())
    app.get('/events', async (request, reply) => {
      responses.push(reply.raw)
      await opening
      hub.add(request, reply, keys.get(request.headers.cookie ?? '') ?? keyOf(), 'default')
    })
    app.get('/*', (request, reply) => {
      const isIn = keys.has(request.headers.cookie ?? '')
      return reply.status(isIn ? 200 : 401).send(isIn ? payload : '{"code":"unauthorized"}')
    })
    url = await app.listen({ port: 0, host: '127.0.0.1' })
  })

  afterEach(() => app.close())

  /** A viewer of which a test has the socket in hand. */
  async function look(cookie: string): Promise<Socket> {
    const { port } = app.server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await once(socket, 'connect')
    const count = responses.length
    socket.pause().write(`GET /events HTTP/1.1\r\nhost: knell\r\ncookie: ${cookie}\r\n\r\n`)
    await eventually(() => responses.length > count)
    return socket
  }

  it('lets go a viewer that does not read and whose session ends, and serves the others on', async () => {
    keys.set('stuck', keyOf('ops:read')).set('reading', keyOf('ops:read'))
    payload = LARGE
    const socket = await look('stuck')
    await eventually(() => responses[0]?.writableNeedDrain === true)
    payload = '{}'
    const stream = await open(`${url}/events`, { headers: { cookie: 'reading' } })
    keys.delete('stuck')
    let seen = 0
    const events = await readEvents(stream, ({ event, data }) => {
      if (event === 'health' && data === '{}') seen += 1
      return seen === 3
    })
    expect(events.filter(({ data }) => data.includes('unauthorized'))).to.deep.equal([])
    await eventually(() => responses[0]?.destroyed === true)
    await eventually(() => hub.viewers === 0)
    socket.destroy()
  })

  it('keeps nothing of viewers that were gone before their stream had opened', async () => {
    keys.set('gone', keyOf('ops:read'))
    let go = (): void => {}
    opening = new Promise((resolve) => (go = resolve))
    for (let i = 0; i < 20; i += 1) (await look('gone')).destroy()
    await eventually(() => responses.every(({ closed }) => closed))
    go()
    await opening
    expect(hub.viewers).to.equal(0)
    keys.delete('gone')
    keys.set('new', keyOf('ops:read'))
    const stream = await open(`${url}/events`, { headers: { cookie: 'new' } })
    const events = await readEvents(stream, ({ event }) => event === 'due')
    expect(events.map(({ data }) => data))
      .to.include('{}')
      .and.not.include('unauthorized')
    expect(events.filter(({ data }) => data.includes('problem'))).to.deep.equal([])
    await eventually(() => hub.viewers === 0)
  })

  it('ends for a key whose rights have changed, to be opened anew with the new ones', async () => {
    keys.set('a', keyOf('ops:read', 'feed:read'))
    const stream = await open(`${url}/events`, { headers: { cookie: 'a' } })
    const reading = readEvents(stream, ({ event }) => event === 'ended')
    await eventually(() => hub.viewers === 1)
    keys.set('a', keyOf('ops:read'))
    expect((await reading).map(({ event }) => event)).to.not.include('ended')
    expect(hub.viewers).to.equal(0)
  })
})
