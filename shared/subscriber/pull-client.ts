import http from 'node:http'
import https from 'node:https'
import type { IncomingMessage } from 'node:http'
import { KnellError } from '../domain/errors.ts'
import { createTlsClient, type TlsClient } from '../tls/tls-client.ts'
import { tlsProblemOf } from '../tls/tls-problem.ts'

const CONNECT_TIMEOUT_MS = 3000
/** An answer that stops coming for this long is given up. */
const SILENCE_MS = 15_000
/** No answer but a snapshot, which is read line by line, is larger, or takes longer to come. */
const MAX_BYTES = 128 * 1024 * 1024
const MAX_READ_MS = 30_000

export interface PullRequest {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** How long the server may take to begin its answer, beyond the time to connect. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

/** Calls notifiers and pollers over HTTP: stays with the one that answers, turns to the next when it does not. */
export class PullClient {
  readonly #urls: readonly URL[]
  readonly #apiKey: string
  readonly #agents: { readonly http: http.Agent; readonly https: https.Agent | undefined }
  #current = 0

  /** `tls` is used for `https://` URLs; without it TLS is as Node does it. */
  constructor(urls: readonly URL[], apiKey: string, tls?: TlsClient) {
    this.#urls = urls
    this.#apiKey = apiKey
    const isSecure = urls.some(({ protocol }) => protocol === 'https:')
    this.#agents = {
      http: new http.Agent({ keepAlive: true }),
      https: isSecure
        ? new https.Agent({ keepAlive: true, ...(tls ?? createTlsClient()).options })
        : undefined,
    }
  }

  /** Turns to the next URL: the present one answered, but not well enough. */
  rotate(): void {
    this.#current = (this.#current + 1) % this.#urls.length
  }

  /** The answer of the first URL that gives one, as a stream. @throws KnellError `pull_failed` */
  async open(request: PullRequest): Promise<IncomingMessage> {
    let last: unknown
    for (let tried = 0; tried < this.#urls.length; tried++) {
      const base = this.#urls[this.#current] as URL
      try {
        const response = await this.#send(base, request)
        const { statusCode = 0 } = response
        if (statusCode >= 200 && statusCode < 300) return response
        last = await refusalOf(response)
      } catch (error) {
        if (request.signal?.aborted === true) throw toPullError(error)
        last = error
      }
      this.rotate()
    }
    throw toPullError(last)
  }

  /** @throws KnellError `pull_failed` */
  async json(request: PullRequest): Promise<unknown> {
    const response = await this.open(request)
    try {
      return JSON.parse(await textOf(response)) as unknown
    } catch (error) {
      this.rotate()
      throw toPullError(error)
    }
  }

  #send(base: URL, request: PullRequest): Promise<IncomingMessage> {
    const url = new URL(base.pathname.replace(/\/$/, '') + request.path, base)
    for (const [name, value] of Object.entries(request.query ?? {}))
      url.searchParams.set(name, value)
    const secure = url.protocol === 'https:'
    return new Promise((resolve, reject) => {
      let answer: IncomingMessage | undefined
      const sent = (secure ? https : http).request(
        url,
        {
          method: request.method ?? 'GET',
          agent: secure ? this.#agents.https : this.#agents.http,
          headers: {
            ...request.headers,
            authorization: `Bearer ${this.#apiKey}`,
            ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          timeout: SILENCE_MS + (request.waitMs ?? 0),
        },
        (response) => {
          clearTimeout(timer)
          // Whoever reads the answer hears of its end by reading; nobody may be reading yet.
          response.on('error', () => {})
          answer = response
          resolve(response)
        },
      )
      const timer = setTimeout(
        () => sent.destroy(new Error('No answer in time.')),
        CONNECT_TIMEOUT_MS + (request.waitMs ?? 0),
      )
      // Not by the option `signal`, whose AbortError can reach a socket that has no listener.
      // Nor, once an answer has come, by way of the request, whose socket may be back in the pool by then.
      const giveUp = (): void => void (answer ?? sent).destroy(new Error('The pull was given up.'))
      request.signal?.addEventListener('abort', giveUp)
      sent.on('close', () => request.signal?.removeEventListener('abort', giveUp))
      if (request.signal?.aborted === true) giveUp()
      sent.on('timeout', () => sent.destroy(new Error('The answer stopped coming.')))
      sent.on('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      sent.end(request.body)
    })
  }

  close(): void {
    this.#agents.http.destroy()
    this.#agents.https?.destroy()
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  const deadline = performance.now() + MAX_READ_MS
  let length = 0
  for await (const chunk of response) {
    length += (chunk as Buffer).length
    if (length > MAX_BYTES || performance.now() > deadline) {
      throw new Error('The answer is too large, or takes too long to come.')
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** An answer that is no success, with its status. */
class Refusal extends Error {
  readonly status: number

  constructor(status: number, text: string) {
    super(`HTTP ${status}: ${text}`)
    this.status = status
  }
}

async function refusalOf(response: IncomingMessage): Promise<Refusal> {
  return new Refusal(response.statusCode ?? 0, (await textOf(response)).slice(0, 500))
}

function toPullError(error: unknown): KnellError {
  const tls = tlsProblemOf(error)
  const said = error instanceof Error ? error.message : String(error)
  const why = tls === undefined ? said : `the server ${tls}.`
  return new KnellError('pull_failed', `No pull URL gave a usable answer: ${why}`, {
    cause: error,
    ...(error instanceof Refusal ? { details: { status: error.status } } : {}),
  })
}
