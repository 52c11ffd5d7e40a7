import { handleWhen, ExponentialBackoff, retry, type RetryPolicy } from 'cockatiel'
import { errorCodes, isKnellError, KnellError, type ErrorCode } from '../domain/errors.ts'
import { isRecord } from '../domain/entry.ts'

type Answer = Readonly<Record<string, unknown>>

/** A call that may be sent twice is tried so often, over about a second: far less than the grace of a refresh. */
const RETRIES = 3

/** Calls notifiers over HTTP: stays with the one that answers, turns to the next when it does not. */
export class IssuerClient {
  readonly #urls: readonly string[]
  readonly #apiKey: string
  readonly #timeoutMs: number
  readonly #retries: RetryPolicy = retry(
    handleWhen((error) => isKnellError(error) && error.retryable),
    {
      maxAttempts: RETRIES,
      backoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 500 }),
    },
  )
  #current = 0

  constructor(urls: readonly string[], apiKey: string, timeoutMs: number) {
    this.#urls = urls
    this.#apiKey = apiKey
    this.#timeoutMs = timeoutMs
  }

  /** A call with one effect however often it is sent. @throws KnellError the code of the answer, `call_failed` where there is none */
  repeat(path: string, body: object): Promise<Answer> {
    return this.#retries.execute(() => this.once(path, body))
  }

  /** A call that is sent once. @throws KnellError as `repeat` */
  async once(path: string, body: object): Promise<Answer> {
    const base = this.#urls[this.#current % this.#urls.length] ?? ''
    let response: Response
    let answer: unknown
    try {
      response = await fetch(base.replace(/\/$/, '') + path, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${this.#apiKey}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.timeout(this.#timeoutMs),
      })
      const text = await response.text()
      answer = text === '' ? {} : JSON.parse(text)
    } catch (cause) {
      this.#current += 1
      throw new KnellError('call_failed', `No answer came from ${path}.`, { cause })
    }
    if (response.ok && isRecord(answer)) return answer
    const error = toError(path, response.status, answer)
    if (error.retryable) this.#current += 1
    throw error
  }
}

function toError(path: string, status: number, answer: unknown): KnellError {
  const problem = isRecord(answer) ? answer : {}
  const { code, detail, type: _, status: __, title: ___, requestId: ____, ...details } = problem
  const isKnown = typeof code === 'string' && code in errorCodes
  const said = typeof detail === 'string' ? detail : `HTTP ${status}`
  return isKnown
    ? new KnellError(code as ErrorCode, said, { details })
    : new KnellError('call_failed', `${path} was answered with HTTP ${status}.`)
}
