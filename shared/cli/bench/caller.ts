import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Calls a notifier as an issuer would: over connections that are kept open. */
export class Caller {
  readonly #url: string
  readonly #secret: string
  readonly #agent: Agent

  constructor(url: string, secret: string, options: { readonly sockets: number }) {
    this.#url = url
    this.#secret = secret
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.sockets })
  }

  /** The body of a 2xx answer. */
  post(path: string, body: unknown): Promise<unknown> {
    const text = JSON.stringify(body)
    return this.#call('POST', path, 'application/json', (sent) => void sent.end(text))
  }

  /** As OAuth wants it (RFC 6749, appendix B). */
  form(path: string, fields: Readonly<Record<string, string>>): Promise<unknown> {
    const text = new URLSearchParams(fields).toString()
    const type = 'application/x-www-form-urlencoded'
    return this.#call('POST', path, type, (sent) => void sent.end(text))
  }

  get(path: string): Promise<unknown> {
    return this.#call('GET', path, undefined, (sent) => void sent.end())
  }

  /** Sends lines as one NDJSON body, as fast as they are taken. */
  upload(path: string, lines: Iterable<string>): Promise<unknown> {
    return this.#call('POST', path, 'application/x-ndjson', (sent) => {
      pipeline(Readable.from(inChunks(lines)), sent).catch((error: Error) => sent.destroy(error))
    })
  }

  #call(
    method: string,
    path: string,
    type: string | undefined,
    send: (sent: ClientRequest) => void,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const sent = request(`${this.#url}${path}`, {
        method,
        agent: this.#agent,
        headers: {
          authorization: `Bearer ${this.#secret}`,
          ...(type === undefined ? {} : { 'content-type': type }),
        },
      })
      sent.on('error', reject)
      sent.on('response', (response) => {
        read(response).then(resolve, reject)
      })
      send(sent)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

async function read(response: IncomingMessage): Promise<unknown> {
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response) text += String(chunk)
  const { statusCode = 0 } = response
  if (statusCode < 200 || statusCode > 299) throw new Error(`HTTP ${statusCode}: ${text}`)
  return JSON.parse(text) as unknown
}

const CHUNK = 65_536

function* inChunks(lines: Iterable<string>): Generator<string> {
  let chunk = ''
  for (const line of lines) {
    chunk += `${line}\n`
    if (chunk.length < CHUNK) continue
    yield chunk
    chunk = ''
  }
  if (chunk !== '') yield chunk
}
