import type { ServerResponse } from 'node:http'
import { KnellError } from '../domain/errors.ts'
import { FairTurns, type TurnLimits } from '../domain/fair-turns.ts'

/** Lets answers be made a few at a time, owners taking turns. */
export class Turns {
  readonly #turns: FairTurns
  readonly #what: string
  readonly #waiting = new Set<() => void>()

  /** `what`: the things that wait, for the message. */
  constructor(limits: TurnLimits, what: string) {
    this.#turns = new FairTurns(limits)
    this.#what = what
  }

  /**
   * Resolves when the owner's turn has come; it lasts until the answer has been sent or the caller
   * is gone.
   * @throws KnellError `too_many_requests` where too many of the owner wait already,
   *   `invalid_request` where the caller goes while it waits
   */
  wait(owner: string, response: ServerResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      let isMine = false
      const giveUp = this.#turns.enter(owner, () => {
        isMine = true
        this.#waiting.delete(resolve)
        resolve()
      })
      if (giveUp === undefined) {
        reject(
          new KnellError(
            'too_many_requests',
            `Too many ${this.#what} of this API key are waiting at this process; try again in a moment.`,
          ),
        )
        return
      }
      const close = (): void => {
        this.#waiting.delete(resolve)
        if (isMine) this.#turns.leave(owner)
        else giveUp()
        // Nobody hears it; it only ends the call.
        reject(new KnellError('invalid_request', 'The caller has gone.'))
      }
      if (response.closed || response.destroyed) {
        close()
        return
      }
      response.once('close', close)
      if (!isMine) this.#waiting.add(resolve)
    })
  }

  /** Lets all that wait go on at once. */
  stop(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}
