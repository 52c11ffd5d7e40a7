import { errorCodes, type ErrorCode } from '../../domain/errors.ts'
import { isRecord } from '../../domain/entry.ts'
import { CommandError } from '../exit.ts'
import { harmless } from '../terminal/print.ts'

export interface Connection {
  /** Of a notifier or a poller; a path in it is kept, for whoever puts Knell below one. */
  readonly url: URL
  readonly key: string | undefined
  readonly tenant: string | undefined
  /** What is expected there and how its address is given, where it is no notifier's of `--url`. */
  readonly found?: { readonly kind: 'poller'; readonly by: string }
  /** How long a call may take that does not say so itself. Default 30 s. */
  readonly timeoutMs?: number
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly query?: Readonly<Record<string, string | number | undefined>>
  /** Sent as JSON, or, where it is bytes, as NDJSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Default: the connection's. 0: as long as it takes. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

/** What an API answers to a call that it refuses: a problem document (RFC 9457). */
export class ApiProblem extends CommandError {
  readonly status: number
  readonly code: string
  readonly retryAfterMs: number | undefined

  constructor(
    status: number,
    message: string,
    problem: Readonly<Record<string, unknown>>,
    retryAfterMs?: number,
  ) {
    super('failed', message, { problem })
    this.status = status
    this.code = String(problem['code'])
    this.retryAfterMs = retryAfterMs
  }

  /** What is wrong, without the code. */
  get detail(): string {
    const detail = this.problem?.['detail']
    return typeof detail === 'string' ? detail : this.message
  }

  /** Whether the same call may succeed later without a change. */
  get retryable(): boolean {
    return this.code in errorCodes
      ? errorCodes[this.code as ErrorCode].retryable
      : this.status === 429 || this.status >= 502
  }
}

const TIMEOUT_MS = 30_000

/** Calls the HTTP API of a notifier or a poller. */
export class ApiClient {
  readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  /**
   * The JSON that a call answers.
   * @throws ApiProblem where the API refuses, CommandError `unreachable` where nothing answers
   */
  async call<T = Readonly<Record<string, unknown>>>(path: string, call: Call = {}): Promise<T> {
    const response = await this.open(path, call)
    const text = await this.#reading(response.text())
    const body = parse(text)
    if (response.ok && body !== undefined) return body as T
    throw this.#problemOf(path, call, response, body)
  }

  /** As `call`; undefined where the process does not offer the path, as another version or the poller may not. */
  async optional<T>(path: string, call: Call = {}): Promise<T | undefined> {
    try {
      return await this.call<T>(path, call)
    } catch (error) {
      if (error instanceof ApiProblem && error.code === 'not_found') return undefined
      throw error
    }
  }

  /** The body of an answer as it arrives. @throws as `call` */
  async *stream(path: string, call: Call = {}): AsyncGenerator<Uint8Array> {
    const response = await this.open(path, { timeoutMs: 0, ...call })
    if (!response.ok || response.body === null) {
      throw this.#problemOf(path, call, response, parse(await this.#reading(response.text())))
    }
    const reader = response.body.getReader()
    try {
      for (;;) {
        const { done, value } = await this.#reading(reader.read())
        if (done) return
        yield value as Uint8Array
      }
    } finally {
      await reader.cancel().catch(() => {})
    }
  }

  /** Sends a call; whatever the API answers is for the caller to look at. @throws CommandError `unreachable` */
  open(path: string, call: Call = {}): Promise<Response> {
    const { url, key, timeoutMs = TIMEOUT_MS } = this.connection
    const { method = call.body === undefined ? 'GET' : 'POST', query = {}, body } = call
    const target = new URL(path.slice(1), url)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) target.searchParams.set(name, String(value))
    }
    const isBytes = body instanceof Uint8Array
    const limits = [
      ...(call.signal === undefined ? [] : [call.signal]),
      ...(call.timeoutMs === 0 ? [] : [AbortSignal.timeout(call.timeoutMs ?? timeoutMs)]),
    ]
    return this.#reading(
      fetch(target, {
        method,
        // The key is for this address and for no other.
        redirect: 'manual',
        headers: {
          accept: 'application/json',
          'knell-via': 'cli',
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(body === undefined
            ? {}
            : { 'content-type': isBytes ? 'application/x-ndjson' : 'application/json' }),
          ...call.headers,
        },
        ...(body === undefined ? {} : { body: isBytes ? body : JSON.stringify(body) }),
        ...(limits.length === 0 ? {} : { signal: AbortSignal.any(limits) }),
      }),
    )
  }

  async #reading<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise
    } catch (error) {
      const { url, found = { kind: 'notifier', by: '--url or KNELL_URL' } } = this.connection
      throw new CommandError(
        'unreachable',
        `${url.origin} does not answer: ${reasonOf(error)}. Is a ${found.kind} there? Give its address with ${found.by}.`,
        { cause: error },
      )
    }
  }

  #problemOf(
    path: string,
    { method = 'GET', body }: Call,
    response: Response,
    answered: unknown,
  ): ApiProblem {
    const { origin } = this.connection.url
    const what = `${body === undefined ? method : 'POST'} ${path}`
    const { status } = response
    const retryAfter = Number(response.headers.get('retry-after') ?? NaN)
    if (isRecord(answered) && typeof answered['code'] === 'string') {
      const { code, detail } = answered
      const message =
        code === 'not_found'
          ? `${origin} does not offer ${what}: this is a poller where a notifier is needed, or of another version than this command.`
          : `${harmless(code)}: ${typeof detail === 'string' ? harmless(detail) : status}`
      return new ApiProblem(
        status,
        message,
        answered,
        Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined,
      )
    }
    const hint = status >= 300 && status < 400 ? ' It leads elsewhere: correct --url.' : ''
    return new ApiProblem(
      status,
      `${origin} answers ${what} with ${status} and nothing of Knell's. Is that a notifier?${hint}`,
      { type: 'about:blank', status, code: 'foreign_answer', title: 'foreign answer' },
    )
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** What went wrong below HTTP, in few words: `fetch` hides it in the cause, and that once more where several addresses were tried. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'no answer in time'
  const { cause } = error
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0])
  if (cause instanceof Error) return reasonOf(cause)
  const { code } = error as { code?: unknown }
  return error.message || String(code)
}
