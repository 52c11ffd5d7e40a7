import { isRecord } from '../domain/entry.ts'
import { errorCodes, KnellError, toKnellError, type ErrorCode } from '../domain/errors.ts'
import { isTenant } from '../domain/tenant.ts'
import { PullClient } from '../subscriber/pull-client.ts'
import { settleTls, type TlsOptions } from '../subscriber/tls-options.ts'
import { Known, toSeenToken, type SeenToken } from './seen-tokens.ts'

export interface RegistrarOptions {
  /** Base URLs of notifiers, tried in order. */
  readonly url: string | readonly string[]
  /** The secret of an API key with the scope `tokens:write`. */
  readonly apiKey: string
  /** The tenant of the tokens. Default: told by their `iss`. */
  readonly tenant?: string
  /** Certificates for `https://`: the member `pull` of what `connect` takes. */
  readonly tls?: TlsOptions['pull']
  /** The most tokens that wait to be sent; one more is dropped, and registered where it is seen again. Default: 10,000. */
  readonly maxWaiting?: number
  /** So many tokens are remembered as seen. Default: 100,000. */
  readonly maxKnown?: number
  /** ms that a token waits for others to be sent with. Default: 200. */
  readonly delayMs?: number
  /** Hears why a batch could not be sent, each time; it is tried again where that may help. */
  readonly onProblem?: (error: KnellError) => void
}

export interface RegistrarStats {
  /** Tokens that were seen for the first time. */
  readonly seen: number
  readonly registered: number
  readonly waiting: number
  /** Tokens that were not registered, by why: `full`, `no_jti`, or an error code. */
  readonly dropped: Readonly<Record<string, number>>
}

/** Half of what `POST /v1/tokens` takes in one call. */
const MAX_BATCH = 500
const MAX_BATCH_BYTES = 4 * 1024 * 1024
/** Of tokens that wait, besides their number: a token may have 16 KiB. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024
const MAX_BACKOFF_MS = 30_000
/** How long `close` goes on trying. */
const CLOSE_MS = 5000

/**
 * Registers tokens that somebody else issues when they are first seen, so that Knell knows them and
 * announces their expiry. Made by `createRegistrar`.
 */
export class Registrar {
  readonly #client: PullClient
  readonly #tenant: string | undefined
  readonly #maxWaiting: number
  readonly #delayMs: number
  readonly #onProblem: (error: KnellError) => void
  readonly #known: Known
  readonly #dropped = new Map<string, number>()
  #waiting: SeenToken[] = []
  #waitingBytes = 0
  #seen = 0
  #registered = 0
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #closed = false

  constructor(options: RegistrarOptions) {
    const { urls, tls } = settle(options)
    this.#client = new PullClient(urls, options.apiKey, tls)
    this.#tenant = options.tenant
    this.#maxWaiting = options.maxWaiting ?? 10_000
    this.#known = new Known(options.maxKnown ?? 100_000)
    this.#delayMs = options.delayMs ?? 200
    this.#onProblem = options.onProblem ?? (() => {})
  }

  /**
   * Takes note of a token, to register it in a moment where it is new. Never throws, waits for
   * nothing and keeps nothing alive. The notifier verifies the token; call this with those that
   * `verify` let in, so that it is not busy with strangers'.
   */
  see(token: string): void {
    if (this.#closed) return
    const seen = toSeenToken(token, Date.now() / 1000)
    if (typeof seen === 'string') return this.#drop(seen)
    if (!this.#known.add(seen)) return
    this.#seen += 1
    const bytes = this.#waitingBytes + token.length
    if (this.#waiting.length >= this.#maxWaiting || bytes > MAX_WAITING_BYTES) {
      this.#known.forget(seen)
      return this.#drop('full')
    }
    this.#waiting.push(seen)
    this.#waitingBytes = bytes
    this.#sendLater(this.#delayMs)
  }

  get stats(): RegistrarStats {
    return {
      seen: this.#seen,
      registered: this.#registered,
      waiting: this.#waiting.length,
      dropped: Object.fromEntries(this.#dropped),
    }
  }

  /** Tries to send what waits, for 5 s at most, and lets go of its connections. Twice is fine. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const deadline = performance.now() + CLOSE_MS
    await this.#sending
    while (this.#waiting.length > 0 && this.#failures === 0 && performance.now() < deadline) {
      await this.#send()
    }
    for (const _ of this.#waiting.splice(0)) this.#drop('shutting_down')
    this.#client.close()
  }

  #drop(why: string): void {
    this.#dropped.set(why, (this.#dropped.get(why) ?? 0) + 1)
  }

  #sendLater(ms: number): void {
    if (this.#timer !== undefined || this.#sending !== undefined || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#sending = this.#send().finally(() => {
        this.#sending = undefined
        const backoffMs = Math.min(MAX_BACKOFF_MS, 500 * 2 ** this.#failures)
        const nextMs = this.#failures > 0 ? backoffMs * (0.5 + Math.random() / 2) : 0
        if (this.#waiting.length > 0) this.#sendLater(nextMs)
      })
    }, ms).unref()
  }

  /** Sends one batch. One that cannot be sent now stays; one that never can is dropped. */
  async #send(): Promise<void> {
    const batch = this.#take()
    if (batch.length === 0) return
    const tenant = this.#tenant === undefined ? {} : { tenant: this.#tenant }
    const body = JSON.stringify(batch.map(({ token }) => ({ token, ...tenant })))
    try {
      const answer = await this.#client.json({ method: 'POST', path: '/v1/tokens', body })
      this.#failures = 0
      this.#settle(batch, answer)
    } catch (cause) {
      this.#failures += 1
      const error = toKnellError(cause, 'pull_failed')
      const status = Number(error.details?.['status'] ?? 503)
      const isFinal = status >= 400 && status < 500 && status !== 429
      if (isFinal) for (const _ of batch) this.#drop(`http_${status}`)
      else this.#putBack(batch)
      this.#tell(error)
    }
  }

  /** The oldest that still live, as many as fit into one call. */
  #take(): SeenToken[] {
    const now = Date.now() / 1000
    const batch: SeenToken[] = []
    let bytes = 0
    while (batch.length < MAX_BATCH && bytes < MAX_BATCH_BYTES) {
      const next = this.#waiting.shift()
      if (next === undefined) break
      this.#waitingBytes -= next.token.length
      if (next.exp <= now) this.#drop('token_expired')
      else {
        batch.push(next)
        bytes += next.token.length
      }
    }
    return batch
  }

  #putBack(batch: readonly SeenToken[]): void {
    this.#waiting.unshift(...batch)
    for (const { token } of batch) this.#waitingBytes += token.length
  }

  #settle(batch: readonly SeenToken[], answer: unknown): void {
    const listed: unknown = isRecord(answer) ? answer['rejected'] : undefined
    const rejected: readonly unknown[] = Array.isArray(listed) ? listed : []
    for (const item of rejected) {
      if (!isRecord(item)) continue
      const code = String(item['code'])
      this.#drop(code)
      const token = batch[Number(item['index'])]
      // What may work later is tried again when the token is next seen.
      if (token && errorCodes[code as ErrorCode]?.retryable) this.#known.forget(token)
    }
    this.#registered += Math.max(0, batch.length - rejected.length)
  }

  #tell(error: KnellError): void {
    try {
      this.#onProblem(error)
    } catch {
      // A listener's fault must not end what it listens to.
    }
  }
}

/**
 * Makes a registrar. Nothing is sent before a token is seen.
 * @throws TypeError that lists everything wrong with the options
 */
export function createRegistrar(options: RegistrarOptions): Registrar {
  return new Registrar(options)
}

function settle(options: RegistrarOptions): {
  urls: readonly URL[]
  tls: ReturnType<typeof settleTls>['pull']
} {
  const problems: string[] = []
  const given = [options.url].flat()
  const urls = given.flatMap((text) => {
    if (/^https?:\/\//.test(text) && URL.canParse(text)) return [new URL(text)]
    problems.push('url must hold http:// or https:// URLs')
    return []
  })
  if (given.length === 0) problems.push('url must name at least one notifier')
  if (new Set(urls.map(({ protocol }) => protocol)).size > 1) {
    problems.push('url must not mix https:// with http:// URLs: the API key would go in plain')
  }
  if (typeof options.apiKey !== 'string' || options.apiKey === '') {
    problems.push('apiKey must be the secret of an API key')
  }
  if (options.tenant !== undefined && !isTenant(options.tenant)) {
    problems.push('tenant must be the name of one')
  }
  for (const name of ['maxWaiting', 'maxKnown', 'delayMs'] as const) {
    const { [name]: value = 1 } = options
    if (!(Number.isInteger(value) && value >= 1)) {
      problems.push(`${name} must be a whole number from 1`)
    }
  }
  const tls = settleTls(options.tls === undefined ? undefined : { pull: options.tls }, problems)
  if (problems.length > 0) throw new TypeError(`createRegistrar: ${problems.join('; ')}.`)
  return { urls, tls: tls.pull }
}
