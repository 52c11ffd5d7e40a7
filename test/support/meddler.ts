import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A question and its answer, as a man in the middle sees them. */
export interface Exchange {
  readonly path: string
  /** The path with its query. */
  readonly url: string
  readonly text: string
}

/** An HTTP server between a subscriber and a process, that may change what it passes on. */
export interface Meddler {
  readonly url: string
  /** Everything passed on so far, unchanged. */
  readonly seen: Exchange[]
  /** Changes what is asked; undefined changes nothing. */
  ask: ((url: string) => string) | undefined
  /** Changes what is answered; undefined changes nothing. */
  answer: ((exchange: Exchange) => string) | undefined
  close(): Promise<void>
}

export async function openMeddler(target: string): Promise<Meddler> {
  const server = createServer((asked, answering) => {
    pass(asked, answering).catch(() => answering.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const meddler: Meddler = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    ask: undefined,
    answer: undefined,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }

  async function pass(asked: IncomingMessage, answering: ServerResponse): Promise<void> {
    const url = asked.url ?? '/'
    const sent = request(`${target}${meddler.ask?.(url) ?? url}`, {
      method: asked.method,
      agent: false,
      headers: asked.headers,
    })
    asked.pipe(sent)
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    const text = await textOf(answer)
    const exchange = { path: url.split('?')[0] ?? '', url, text }
    meddler.seen.push(exchange)
    const { 'content-type': type = 'text/plain' } = answer.headers
    answering.writeHead(answer.statusCode ?? 500, { 'content-type': type })
    answering.end(meddler.answer?.(exchange) ?? text)
  }

  return meddler
}

async function textOf(stream: IncomingMessage): Promise<string> {
  stream.setEncoding('utf8')
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}
