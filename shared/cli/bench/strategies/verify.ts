import { createPublicKey } from 'node:crypto'
import jwt from 'jsonwebtoken'
import type { Claims, Header } from '../../../domain/claims.ts'
import type { Gate, GateOptions, Verified } from './gate.ts'

/** Verifies as a service without Knell does, with keys that are read once. Undefined for a bad token. */
export function createVerify(options: GateOptions): (token: string) => Verified | undefined {
  const keys = new Map(options.keys.map(({ kid, pem }) => [kid, createPublicKey(pem)]))
  const { issuer, audience } = options
  return (token) => {
    const key = keys.get(kidOf(token))
    if (key === undefined) return undefined
    try {
      const { header, payload } = jwt.verify(token, key, {
        algorithms: ['ES256'],
        issuer,
        audience,
        complete: true,
      })
      return { token, header: header as unknown as Header, claims: payload as Claims }
    } catch (error) {
      if (error instanceof jwt.JsonWebTokenError) return undefined
      throw error
    }
  }
}

/** How a token is admitted where it is asked about once it is verified. */
export function createAdmit(options: GateOptions, ask: NonNullable<Gate['ask']>): Gate['admit'] {
  const verify = createVerify(options)
  return (token) => {
    const verified = verify(token)
    return verified === undefined ? false : ask(verified)
  }
}

/** Of the header alone, which is short; the rest is read once it is verified. */
function kidOf(token: string): string {
  const header = Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString()
  return String((JSON.parse(header) as { kid?: unknown }).kid)
}
