import type { CircuitBreakerPolicy } from 'cockatiel'
import type { Claims, Header } from '../domain/claims.ts'
import type { Decision } from '../domain/decision.ts'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import { tokenDigestOf } from '../signing/digest.ts'
import type { EventVerifier } from '../signing/event-verifier.ts'
import type { PullClient } from './pull-client.ts'
import { newNonce, openSigned, type Question } from './signed-answers.ts'

/** How long a caller waits for the store's own decision, in ms. */
const TIMEOUT_MS = 2000
/** After so many failures in a row nobody is asked for a while. */
const FAILURES = 5
const OPEN_MS = 5000

/**
 * Asks a notifier or poller for the store's own decision (`POST /v1/check`), with a time-out. After
 * five failures in a row it does not ask for 5 s, so that callers do not queue up behind a store that is away.
 */
export class Asker {
  readonly #client: PullClient
  readonly #verifier: EventVerifier | undefined
  readonly #onProblem: (error: unknown) => void
  #breaker: Promise<CircuitBreakerPolicy> | undefined

  constructor(
    client: PullClient,
    verifier: EventVerifier | undefined,
    onProblem: (error: unknown) => void,
  ) {
    this.#client = client
    this.#verifier = verifier
    this.#onProblem = onProblem
  }

  /** Undefined where none answers in time: the policy for stale views then stands. */
  async ask(
    claims: Claims,
    header: Header | undefined,
    tenant: string,
  ): Promise<Decision | undefined> {
    try {
      this.#breaker ??= createBreaker()
      const breaker = await this.#breaker
      return await breaker.execute(async () => this.#ask(claims, header, tenant))
    } catch (error) {
      this.#onProblem(error)
      return undefined
    }
  }

  async #ask(claims: Claims, header: Header | undefined, tenant: string): Promise<Decision> {
    const started = performance.now()
    const nonce = newNonce()
    const answer = await this.#client.json({
      method: 'POST',
      path: '/v1/check',
      body: JSON.stringify({ claims, header, tenant, ...(this.#verifier ? { nonce } : {}) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    // The answer has aged on its way.
    const staleMs = Math.ceil(performance.now() - started)
    const decision = this.#opened(answer, { tenant, nonce, sha256: tokenDigestOf(claims, header) })
    if (isDecision(decision)) return { ...decision, staleMs }
    throw new KnellError('message_invalid', 'The answer to a check is no decision.')
  }

  #opened(answer: unknown, question: Question): unknown {
    if (this.#verifier === undefined) return answer
    const envelope = isRecord(answer) ? answer['envelope'] : undefined
    return openSigned(this.#verifier, 'decision', envelope, question)['decision']
  }
}

/** Loaded when somebody first asks: most services never do, and every start would wait for it. */
async function createBreaker(): Promise<CircuitBreakerPolicy> {
  const { circuitBreaker, ConsecutiveBreaker, handleAll } = await import('cockatiel')
  return circuitBreaker(handleAll, {
    halfOpenAfter: OPEN_MS,
    breaker: new ConsecutiveBreaker(FAILURES),
  })
}

function isDecision(value: unknown): value is Decision {
  if (!isRecord(value)) return false
  const { active, code, asOf, staleMs, decidedBy } = value
  return (
    typeof active === 'boolean' &&
    typeof code === 'string' &&
    active === (code === 'active') &&
    typeof asOf === 'number' &&
    typeof staleMs === 'number' &&
    decidedBy === 'store'
  )
}
