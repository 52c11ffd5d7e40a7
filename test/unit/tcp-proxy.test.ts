import { expect } from 'chai'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'

describe('tcp proxy', () => {
  let echo: Server
  let proxy: Proxy
  let sockets: Socket[]

  beforeEach(async () => {
    sockets = []
    echo = createServer((socket) => {
      socket.on('error', () => {})
      socket.pipe(socket)
    })
    echo.listen(0, '127.0.0.1')
    await once(echo, 'listening')
    const { port } = echo.address() as AddressInfo
    proxy = await openProxy({ target: { host: '127.0.0.1', port } })
  })

  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    await proxy.close()
    await new Promise((resolve) => echo.close(resolve))
  })

  interface Client {
    readonly socket: Socket
    readonly error: () => NodeJS.ErrnoException | undefined
    readonly received: () => string
  }

  async function open(): Promise<Client> {
    const socket = connect(proxy.port, '127.0.0.1')
    sockets.push(socket)
    let received = ''
    let error: NodeJS.ErrnoException | undefined
    socket.on('data', (chunk) => (received += chunk.toString()))
    socket.on('error', (cause) => (error = cause))
    await once(socket, 'connect')
    return { socket, error: () => error, received: () => received }
  }

  async function says(client: Client, text: string): Promise<void> {
    await eventually(() => client.received() === text, { what: `to receive "${text}"` })
  }

  it('passes bytes and the end of the stream on, both ways', async () => {
    const client = await open()
    client.socket.end('hello')
    await once(client.socket, 'end')
    expect(client.received()).to.equal('hello')
  })

  it('passes on more than the buffers in between hold', async () => {
    const client = await open()
    const text = 'x'.repeat(5_000_000)
    client.socket.end(text)
    await once(client.socket, 'end')
    expect(client.received().length).to.equal(text.length)
  })

  it('puts its host and port into a URL and keeps the rest', () => {
    const there = `127.0.0.1:${proxy.port}`
    expect(proxy.url('amqp://me:secret@rabbit.example:5672/v?heartbeat=1')).to.equal(
      `amqp://me:secret@${there}/v?heartbeat=1`,
    )
    expect(proxy.url('redis://localhost')).to.equal(`redis://${there}`)
    expect(proxy.url('http://localhost:80/a')).to.equal(`http://${there}/a`)
  })

  it('resets what is open and refuses what comes when it is cut, until it resumes', async () => {
    const client = await open()
    client.socket.write('a')
    await says(client, 'a')
    await proxy.cut()
    await eventually(() => client.error()?.code === 'ECONNRESET')
    const refused: unknown = await open().catch((error: unknown) => error)
    expect(refused).to.have.property('code', 'ECONNREFUSED')
    await proxy.resume()
    const other = await open()
    other.socket.write('b')
    await says(other, 'b')
  })

  it('is cut and resumed twice as well as once', async () => {
    await proxy.cut()
    await proxy.cut()
    await proxy.resume()
    await proxy.resume()
    const client = await open()
    client.socket.write('a')
    await says(client, 'a')
  })

  it('holds everything while it stalls, also of new connections, and delivers it afterwards', async () => {
    const client = await open()
    client.socket.write('a')
    await says(client, 'a')
    proxy.stall()
    client.socket.write('b')
    const other = await open()
    other.socket.write('c')
    // A connection past the proxy shows that the time was enough for an answer.
    const { port } = echo.address() as AddressInfo
    const past = connect(port, '127.0.0.1', () => past.write('d'))
    sockets.push(past)
    await once(past, 'data')
    expect([client.received(), other.received()]).to.deep.equal(['a', ''])
    expect([client.error(), other.error()]).to.deep.equal([undefined, undefined])
    await proxy.resume()
    await says(client, 'ab')
    await says(other, 'c')
  })

  for (const direction of ['up', 'down'] as const) {
    it(`loses what goes ${direction} while it swallows that direction`, async () => {
      const client = await open()
      proxy.swallow(direction)
      client.socket.write('lost')
      const { port } = echo.address() as AddressInfo
      const past = connect(port, '127.0.0.1', () => past.write('d'))
      sockets.push(past)
      await once(past, 'data')
      await proxy.resume()
      client.socket.write('kept')
      await eventually(() => client.received().endsWith('kept'))
      expect(client.received()).to.equal('kept')
    })
  }

  it('holds one direction alone, and delivers it afterwards', async () => {
    const client = await open()
    proxy.hold('down')
    client.socket.write('a')
    const { port } = echo.address() as AddressInfo
    const past = connect(port, '127.0.0.1', () => past.write('d'))
    sockets.push(past)
    await once(past, 'data')
    expect(client.received()).to.equal('')
    await proxy.resume()
    await says(client, 'a')
  })

  it('is as late as told, both ways', async () => {
    const client = await open()
    proxy.slow({ latencyMs: 100 })
    const started = performance.now()
    client.socket.write('a')
    await says(client, 'a')
    expect(performance.now() - started).to.be.at.least(199)
    await proxy.resume()
    client.socket.write('b')
    await says(client, 'ab')
  })

  it('passes on so many bytes in a second, in pieces, and the rest at once when it resumes', async () => {
    const client = await open()
    proxy.slow({ bytesPerSecond: 20 })
    const started = performance.now()
    client.socket.write('0123456789')
    await eventually(() => client.received().length >= 6, { intervalMs: 5 })
    expect(client.received()).not.to.equal('0123456789')
    expect(performance.now() - started).to.be.at.least(199)
    client.socket.write('x'.repeat(10_000))
    await proxy.resume()
    await eventually(() => client.received().length === 10_010)
  })

  it('cuts what it passes on into slices, and loses none of them', async () => {
    const client = await open()
    let pieces = 0
    client.socket.on('data', () => (pieces += 1))
    proxy.slow({ sliceBytes: 3 })
    const text = Array.from({ length: 100 }, (_, i) => `${i};`).join('')
    client.socket.write(text)
    await says(client, text)
    expect(pieces).to.be.above(20)
  })

  it('passes the end of a stream on late, after its bytes', async () => {
    const client = await open()
    proxy.slow({ slowCloseMs: 100 })
    const started = performance.now()
    client.socket.end('hello')
    await says(client, 'hello')
    await once(client.socket, 'end')
    expect(performance.now() - started).to.be.at.least(199)
  })

  it('resets what is open, and serves what comes', async () => {
    const client = await open()
    client.socket.write('a')
    await says(client, 'a')
    proxy.reset()
    await eventually(() => client.error()?.code === 'ECONNRESET')
    const other = await open()
    other.socket.write('b')
    await says(other, 'b')
  })

  it('resets each connection after so many bytes, until it resumes', async () => {
    const before = await open()
    before.socket.write('before')
    await says(before, 'before')
    proxy.resetAfter(3)
    const client = await open()
    client.socket.write('abcdef')
    await eventually(() => client.socket.destroyed)
    expect('abc').to.include(client.received())
    await proxy.resume()
    const other = await open()
    other.socket.write('abcdef')
    await says(other, 'abcdef')
    before.socket.write('!')
    await says(before, 'before!')
  })

  it('can be closed in the very moment in which it passes on that a client has gone', async () => {
    const clients = [await open(), await open(), await open()]
    const closed = new Promise<void>((resolve) => {
      const told = createServer((socket) => socket.once('data', () => resolve(proxy.close())))
      told.listen(0, '127.0.0.1', () => {
        const { port } = told.address() as AddressInfo
        const telling = connect(port, '127.0.0.1', () => {
          // Both arrive at once: the ends first, then the word to close.
          for (const { socket } of clients) socket.destroy()
          telling.end('now')
          told.close()
        })
      })
    })
    await closed
  })

  it('resets a client whose target is not there', async () => {
    await new Promise((resolve) => echo.close(resolve))
    const client = await open()
    await eventually(() => client.socket.destroyed)
  })
})
