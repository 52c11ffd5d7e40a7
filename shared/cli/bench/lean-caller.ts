import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** The head of an answer, with how long its body is; Knell's own always say so. */
const HEAD = /^HTTP\/1\.1 (\d+)[^]*?\r\ncontent-length: (\d+)\r\n[^]*?\r\n\r\n/i

/** The least that a client of HTTP/1.1 can cost: connections that stay open, so many requests on their way on each (RFC 9112, section 9.3.2). */
export class LeanCaller {
  readonly #sockets: readonly Socket[]
  readonly #head: string

  private constructor(sockets: readonly Socket[], head: string) {
    this.#sockets = sockets
    this.#head = head
  }

  static async open(url: string, secret: string, sockets: number): Promise<LeanCaller> {
    const { hostname, port, host } = new URL(url)
    const opened = Array.from({ length: sockets }, () =>
      connect({ host: hostname, port: Number(port), noDelay: true }),
    )
    await Promise.all(opened.map((socket) => once(socket, 'connect')))
    const head = `POST /v1/revocations HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${secret}\r\ncontent-type: application/json\r\n`
    return new LeanCaller(opened, head)
  }

  /** Posts so many bodies, each connection having up to `depth` on their way. @throws Error for an answer other than 201 */
  async post(count: number, depth: number, bodyOf: () => string): Promise<void> {
    let left = count
    const next = (): string | undefined => {
      if (left-- <= 0) return undefined
      const body = bodyOf()
      return `${this.#head}content-length: ${body.length}\r\n\r\n${body}`
    }
    await Promise.all(this.#sockets.map((socket) => talk(socket, depth, next)))
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

function talk(socket: Socket, depth: number, next: () => string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let waiting = 0
    let text = ''
    const settle = (error?: Error): void => {
      socket.off('data', onData).off('close', onClose).off('error', settle)
      if (error === undefined) resolve()
      else reject(error)
    }
    const send = (): void => {
      let requests = ''
      for (let room = depth - waiting; room > 0; room--) {
        const request = next()
        if (request === undefined) break
        requests += request
        waiting += 1
      }
      if (requests !== '') socket.write(requests)
      if (waiting === 0) settle()
    }
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      for (let head = HEAD.exec(text); head !== null; head = HEAD.exec(text)) {
        const end = head[0].length + Number(head[2])
        if (text.length < end) break
        if (head[1] !== '201') return settle(new Error(`HTTP ${text.slice(0, end)}`))
        text = text.slice(end)
        waiting -= 1
      }
      send()
    }
    const onClose = (): void => settle(new Error('The notifier has closed the connection.'))
    socket.on('data', onData).on('close', onClose).on('error', settle)
    send()
  })
}
