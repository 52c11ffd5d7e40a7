import type { Logger } from 'pino'
import type { RedisTarget } from '../config/redis-url.ts'
import { KnellError } from '../domain/errors.ts'
import { probeTls } from '../tls/probe-tls.ts'
import { tlsProblemOf } from '../tls/tls-problem.ts'

/** Why the store cannot be connected to, where that needs somebody to act. Commands only hear that it does not answer. */
export class StoreLink {
  readonly #target: RedisTarget
  readonly #log: Logger
  #problem: string | undefined
  #isAsking = false

  constructor(target: RedisTarget, log: Logger) {
    this.#target = target
    this.#log = log
  }

  get problem(): string | undefined {
    return this.#problem
  }

  /** Logged once for as long as it stays the same: connecting is tried again and again. */
  failed(error: Error): void {
    const problem = this.#problemOf(error)
    if (problem === undefined) {
      this.#log.debug({ err: error }, 'store connection')
      void this.#askSentinel()
    } else this.#tell(problem, error)
  }

  succeeded(): void {
    this.#problem = undefined
  }

  /** Of Sentinels ioredis says no more than that none can be reached. */
  async #askSentinel(): Promise<void> {
    const { kind, tlsClient } = this.#target
    if (kind !== 'sentinel' || tlsClient === undefined || this.#isAsking) return
    this.#isAsking = true
    try {
      const [first] = this.#target.sentinels
      const found = first && (await probeTls(first, tlsClient))
      const why = tlsProblemOf(found)
      if (why !== undefined) this.#tell(`The Sentinel at ${first?.host} ${why}.`, found)
    } finally {
      this.#isAsking = false
    }
  }

  #tell(problem: string, error: Error | undefined): void {
    if (problem === this.#problem) return
    this.#problem = problem
    const { code, message } = new KnellError('tls_failed', problem)
    this.#log.warn({ code, err: error }, message)
  }

  #problemOf(error: Error): string | undefined {
    const tls = tlsProblemOf(error)
    if (tls !== undefined) return `The store ${tls}.`
    // Redis says that it wants a certificate and hangs up; what we have sent meanwhile often makes that a reset.
    const { code } = error as { code?: unknown }
    const { tls: isTls, tlsClient } = this.#target
    const mayBeCertificate =
      isTls && tlsClient?.hasCertificate !== true && this.#problem === undefined
    return mayBeCertificate && (code === 'ECONNRESET' || code === 'EPIPE')
      ? `The store breaks TLS off (${code}); it may want a client certificate.`
      : undefined
  }
}
