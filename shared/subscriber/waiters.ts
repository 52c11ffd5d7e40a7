import { NONE, type LiveTokens } from '../domain/live-tokens.ts'
import type { TokenDeath } from './token-death.ts'

/** Hears of the death of a token, once. */
export type DeathListener = (death: TokenDeath) => void

/** One call of `watch`. */
export class Watch {
  /** The row of its token, or `NONE`. */
  row: number = NONE
  readonly #tokens: LiveTokens<Waiters>
  /** Undefined once it has been called or is no longer to be. */
  #fn: DeathListener | undefined

  constructor(tokens: LiveTokens<Waiters>, fn: DeathListener) {
    this.#tokens = tokens
    this.#fn = fn
  }

  /** @throws what the listener throws */
  tell(death: TokenDeath): void {
    const fn = this.#fn
    this.#fn = undefined
    fn?.(death)
  }

  /** It is not called any more. Twice is fine. */
  end(): void {
    if (this.#fn === undefined) return
    this.#fn = undefined
    const waiters = this.row === NONE ? undefined : this.#tokens.target(this.row)
    if (waiters === undefined) return
    const left = withoutWatch(waiters, this)
    if (left === undefined) this.#tokens.remove(this.row)
    else this.#tokens.setTarget(this.row, left)
  }
}

/** More than one who wait for the death of the same token. */
class Crowd {
  controller: AbortController | undefined
  readonly watches: Set<Watch> = new Set()
}

/** Whoever waits for the death of one token. Mostly that is one alone, so only several cost a set. */
export type Waiters = AbortController | Watch | Crowd

export function controllerOf(waiters: Waiters): AbortController | undefined {
  if (waiters instanceof Crowd) return waiters.controller
  return waiters instanceof Watch ? undefined : waiters
}

export function watchesOf(waiters: Waiters): Iterable<Watch> {
  if (waiters instanceof Crowd) return waiters.watches
  return waiters instanceof Watch ? [waiters] : []
}

/** The same with one more. There is at most one controller. */
export function withWaiter(waiters: Waiters, added: AbortController | Watch): Waiters {
  let crowd = waiters
  if (!(crowd instanceof Crowd)) {
    crowd = new Crowd()
    withWaiter(crowd, waiters as AbortController | Watch)
  }
  if (added instanceof Watch) crowd.watches.add(added)
  else crowd.controller = added
  return crowd
}

/** The same without this one; undefined where nobody is left. */
function withoutWatch(waiters: Waiters, gone: Watch): Waiters | undefined {
  if (!(waiters instanceof Crowd)) return waiters === gone ? undefined : waiters
  waiters.watches.delete(gone)
  return waiters.watches.size > 0 ? waiters : waiters.controller
}
