import { createHash, timingSafeEqual } from 'node:crypto'
import {
  formatRefreshToken,
  macTextOf,
  type RefreshToken,
} from '../../shared/domain/refresh-token.ts'

/** A secret that the store does not have, once per key-encryption key, the newest first. */
export interface Macs {
  macs(text: string): readonly Buffer[]
}

/** What the tokens of a family are made of. */
interface Seeded {
  readonly id: string
  readonly seed: string
}

/** What the store keeps of a token. */
export function refreshHashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/**
 * Makes and proves refresh tokens. A token follows from its family and its generation, so the same
 * successor can be answered again although the store keeps none.
 */
export class RefreshTokens {
  readonly #secret: Macs

  constructor(secret: Macs) {
    this.#secret = secret
  }

  /** The token of a generation, by each of the secrets, the one to give out first. */
  tokensOf(tenant: string, { id, seed }: Seeded, generation: number): readonly string[] {
    const token = { family: id, generation }
    return this.#secret
      .macs(macTextOf(tenant, token, seed))
      .map((mac) => formatRefreshToken({ ...token, mac: mac.toString('base64url') }))
  }

  /** The token of a generation that is given out now. */
  newest(tenant: string, family: Seeded, generation: number): string {
    const [token] = this.tokensOf(tenant, family, generation)
    if (token === undefined) throw new TypeError('Refresh tokens need a secret.')
    return token
  }

  /** Whether a token is one that we gave out; takes equally long whatever it is. */
  proves(tenant: string, token: RefreshToken, seed: string): boolean {
    const sent = Buffer.from(token.mac)
    let isOurs = false
    for (const mac of this.#secret.macs(macTextOf(tenant, token, seed))) {
      const own = Buffer.from(mac.toString('base64url'))
      if (own.length === sent.length && timingSafeEqual(own, sent)) isOurs = true
    }
    return isOurs
  }
}
