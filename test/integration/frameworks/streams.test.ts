import { expect } from 'chai'
import { getEventListeners, once } from 'node:events'
import {
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import type { KnellProcess } from '../../../shared/cli/processes.ts'
import {
  closeOnDeath,
  createGuard,
  endOnDeath,
  refuseUpgrade,
  type Guard,
  type TokenContext,
} from '../../../shared/frameworks/index.ts'
import type { Subscriber } from '../../../shared/subscriber/index.ts'
import { eventually } from '../../support/eventually.ts'
import { bearer, get, openCall, textOf } from '../../support/http-call.ts'
import { createIssuer } from '../../support/issuer.ts'
import { call, createSystem, type TestSystem } from '../../support/system.ts'

describe('streams that end with their token', function () {
  this.timeout(60_000)
  const issuer = createIssuer()
  let system: TestSystem
  let notifier: KnellProcess
  let subscriber: Subscriber
  let guard: Guard<IncomingMessage>
  let server: Server
  let url: string
  /** What the server under test does with a stream that was let in. */
  let onStream: (response: ServerResponse, knell: TokenContext) => void
  let onSocket: (socket: WebSocket, knell: TokenContext) => void
  const sockets = new WebSocketServer({ noServer: true })

  before(async () => {
    system = createSystem({ BEAT: '300ms' })
    notifier = await system.start('notifier')
    subscriber = await system.subscribe({ verify: issuer.verify })
    guard = createGuard({ subscriber })
    server = createServer((incoming, response) => void serve(incoming, response))
    server.on('upgrade', (...args) => void upgrade(...args))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(async () => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
    server.closeAllConnections()
    await system.stop()
  })

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const outcome = await guard(incoming)
    if (outcome.ok && outcome.knell !== undefined) onStream(response, outcome.knell)
    else response.writeHead(401).end()
  }

  async function upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const outcome = await guard(incoming)
    if (!outcome.ok) {
      refuseUpgrade(socket, outcome)
      return
    }
    sockets.handleUpgrade(incoming, socket, head, (open) => {
      if (outcome.knell !== undefined) onSocket(open, outcome.knell)
    })
  }

  async function revoke(sub: string): Promise<void> {
    const body = { match: { sub }, reason: 'breach' }
    expect((await call(notifier, system.apiKey, '/v1/revocations', body)).status).to.equal(201)
  }

  const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

  function connect(sub: string): WebSocket {
    const token = issuer.token(sub)
    return new WebSocket(url.replace('http', 'ws'), {
      headers: { authorization: `Bearer ${token}` },
    })
  }

  describe('of server-sent events', () => {
    const head = { 'content-type': 'text/event-stream' }

    it('end with an event of their own, even in the middle of another one', async () => {
      onStream = (response, { signal }) => {
        response.writeHead(200, head).write('event: half\ndata: of an ev')
        endOnDeath(response, signal)
      }
      const text = textOf(await openCall(url, bearer(issuer.token('alice'))))
      await revoke('alice')
      expect(await text).to.equal(
        'event: half\ndata: of an ev\n\nevent: token-dead\ndata: {"code":"revoked"}\n\n',
      )
    })

    it('end at once where the token is dead already, with a head of their own', async () => {
      onStream = (response) => {
        endOnDeath(response, AbortSignal.abort({ code: 'held', reason: 'anomaly' }), {
          exposeReason: true,
        })
      }
      const answer = await get(url, bearer(issuer.token('alice2')))
      expect(answer.headers['content-type']).to.equal('text/event-stream')
      expect(answer.text).to.contain('data: {"code":"held","reason":"anomaly"}\n\n')
    })

    it('survive a handler that goes on writing', async () => {
      let writes = 0
      let closed = false
      onStream = (response, { signal }) => {
        response.writeHead(200, head).flushHeaders()
        endOnDeath(response, signal)
        const timer = setInterval(() => {
          writes += response.writableEnded ? 1 : 0
          response.write('data: x\n\n')
        }, 0)
        signal.addEventListener('abort', () => {
          for (let i = 0; i < 10; i++) response.write('data: late\n\n')
        })
        response.once('close', () => {
          closed = true
          setTimeout(() => clearInterval(timer), 30)
        })
      }
      const text = textOf(await openCall(url, bearer(issuer.token('bob'))))
      await revoke('bob')
      expect(await text).to.match(/event: token-dead\ndata: \{"code":"revoked"\}\n\n$/)
      await eventually(() => closed && writes > 3)
    })

    it('are cut where the client takes nothing', async () => {
      let cutAfterMs = 0
      onStream = (response, { signal }) => {
        response.writeHead(200, head)
        endOnDeath(response, signal)
        while (response.write('x'.repeat(1_000_000))) continue
        for (let i = 0; i < 20; i++) response.write('x'.repeat(1_000_000))
        signal.addEventListener('abort', () => {
          const started = performance.now()
          response.once('close', () => (cutAfterMs = performance.now() - started))
        })
      }
      const response = await openCall(url, bearer(issuer.token('carol')))
      response.pause()
      await revoke('carol')
      await eventually(() => cutAfterMs > 0, { timeoutMs: 15_000, what: 'the cut' })
      expect(cutAfterMs).to.be.within(4000, 10_000)
      response.destroy()
    })

    it('forget the signal when they end first, and are left alone afterwards', async () => {
      let signal: AbortSignal | undefined
      onStream = (response, context) => {
        signal = context.signal
        endOnDeath(response, signal)
        expect(listeners(signal)).to.equal(1)
        response.end('over')
      }
      expect((await get(url, bearer(issuer.token('dora')))).text).to.equal('over')
      await eventually(() => signal !== undefined && listeners(signal) === 0)
    })

    it('end without that event where something else aborts the signal', async () => {
      const controller = new AbortController()
      onStream = (response) => {
        endOnDeath(response.writeHead(200, head), controller.signal)
        controller.abort()
      }
      expect((await get(url, bearer(issuer.token('erin')))).text).to.equal('\n\n')
    })
  })

  describe('of WebSockets', () => {
    it('close with 1008 and a short reason', async () => {
      onSocket = (socket, { signal }) => {
        closeOnDeath(socket, signal)
        socket.on('message', (data) => socket.send(data))
      }
      const client = connect('fred')
      await once(client, 'open')
      client.send('hello')
      expect(String((await once(client, 'message'))[0])).to.equal('hello')
      const closed = once(client, 'close')
      await revoke('fred')
      const [code, reason] = (await closed) as [number, Buffer]
      expect([code, String(reason)]).to.deep.equal([1008, 'token revoked'])
    })

    it('tell the reason where they may, and 1001 where something else aborts', async () => {
      onSocket = (socket) => {
        const death = { code: 'revoked', reason: 'breach' }
        closeOnDeath(socket, AbortSignal.abort(death), { exposeReason: true })
      }
      const [code, reason] = (await once(connect('gina'), 'close')) as [number, Buffer]
      expect([code, String(reason)]).to.deep.equal([1008, 'token revoked: breach'])
      onSocket = (socket) => void closeOnDeath(socket, AbortSignal.abort())
      expect((await once(connect('gina'), 'close'))[0]).to.equal(1001)
    })

    it('refuse the upgrade of a bad token as any other request', async () => {
      const client = new WebSocket(url.replace('http', 'ws'))
      client.on('error', () => {})
      const [, response] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage]
      expect(response.statusCode).to.equal(401)
      expect(response.headers['www-authenticate']).to.equal('Bearer realm="api"')
      expect(JSON.parse(await textOf(response))).to.include({ code: 'unauthorized' })
      client.terminate()
    })

    it('give no handler a message of a dead token, and cut a client that does not close', async () => {
      let messages = 0
      let closedAt = 0
      let diedAt = 0
      onSocket = (socket, { signal }) => {
        socket.on('message', () => (messages += 1))
        signal.addEventListener('abort', () => {
          diedAt = performance.now()
          messages = 0
        })
        closeOnDeath(socket, signal)
        socket.on('close', () => (closedAt = performance.now()))
      }
      // A client of our own making, which sends texts without end and heeds no close frame.
      const sent = request(url, {
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          authorization: `Bearer ${issuer.token('hans')}`,
        },
      }).end()
      const [, socket] = (await once(sent, 'upgrade')) as [unknown, Socket]
      const text = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])
      socket.on('error', () => {}).resume()
      const timer = setInterval(() => socket.write(text), 2)
      try {
        await eventually(() => messages > 3)
        await revoke('hans')
        await eventually(() => closedAt > 0, { timeoutMs: 15_000, what: 'the cut' })
        expect(closedAt - diedAt).to.be.within(4000, 10_000)
        expect(messages).to.equal(0)
      } finally {
        clearInterval(timer)
        socket.destroy()
      }
    })

    it('forget the signal when they close first', async () => {
      let signal: AbortSignal | undefined
      onSocket = (socket, context) => {
        signal = context.signal
        closeOnDeath(socket, signal)
      }
      const client = connect('ida')
      await once(client, 'open')
      await eventually(() => signal !== undefined && listeners(signal) === 1)
      client.close()
      await once(client, 'close')
      await eventually(() => signal !== undefined && listeners(signal) === 0)
    })
  })
})
