import { Caller } from '../bench/caller.ts'
import { serve } from '../bench/serve.ts'
import { jtiOf } from '../bench/tokens.ts'

/** A caller that revokes as fast as it is answered, in a process of its own. */

export interface FloodOptions {
  readonly url: string
  readonly secret: string
  /** The tokens revoked are those from this number on. */
  readonly first: number
  readonly count: number
  /** Calls under way at a time. */
  readonly sockets: number
}

export interface Flooded {
  readonly ms: number
  /** Calls that were told to slow down, or failed, and were sent again. */
  readonly again: number
}

const PATIENCE = 50

const methods = {
  async run({ url, secret, first, count, sockets }: FloodOptions): Promise<Flooded> {
    const caller = new Caller(url, secret, { sockets })
    const started = performance.now()
    let next = first
    let again = 0
    const work = async (): Promise<void> => {
      while (next < first + count) {
        const match = { jti: jtiOf(next++) }
        for (let tries = 1; ; tries++) {
          try {
            await caller.post('/v1/revocations', { match, reason: 'breach' })
            break
          } catch (error) {
            if (tries >= PATIENCE) throw error
            again += 1
            await new Promise((resolve) => {
              setTimeout(resolve, 100)
            })
          }
        }
      }
    }
    await Promise.all(Array.from({ length: sockets }, work))
    caller.close()
    return { ms: performance.now() - started, again }
  },
}

export type Flood = typeof methods

serve(methods)
