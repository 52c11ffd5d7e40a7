import jwt from 'jsonwebtoken'
import { createPublicKey } from 'node:crypto'
import type { Subscriber } from '../../subscriber/index.ts'
import type { Claims } from '../../subscriber/index.ts'
import { quantile } from './statistics.ts'

/** Who signs the tokens that are verified. */
export interface Signer {
  readonly kid: string
  readonly pem: string
  readonly issuer: string
  readonly audience: string
}

/** Batches of each way take turns, so that what the machine does meanwhile meets all alike. */
const BATCH = 20

/** ns per token: jsonwebtoken alone with a key that is read once, the same and then a check, and the subscriber's own verify. */
export interface VerifyCost {
  readonly bare: number
  readonly bareThenCheck: number
  readonly verify: number
}

export async function measureVerify(
  subscriber: Subscriber,
  tokens: readonly string[],
  { pem, issuer, audience }: Signer,
): Promise<VerifyCost> {
  const key = createPublicKey(pem)
  const options = { algorithms: ['ES256' as const], issuer, audience, complete: true as const }
  const ways: Readonly<Record<keyof VerifyCost, (token: string) => unknown>> = {
    bare: (token) => jwt.verify(token, key, options),
    bareThenCheck(token) {
      const { payload, header } = jwt.verify(token, key, options)
      const claims = payload as Claims
      if (!subscriber.check(claims, { ...header }).active) throw new Error('A token was refused.')
    },
    async verify(token) {
      if (!(await subscriber.verify(token)).active) throw new Error('A token was refused.')
    },
  }
  const names = ['bare', 'bareThenCheck', 'verify'] as const
  const times: Record<keyof VerifyCost, number[]> = { bare: [], bareThenCheck: [], verify: [] }
  for (let from = 0, turn = 0; from + BATCH <= tokens.length; from += BATCH, turn++) {
    const batch = tokens.slice(from, from + BATCH)
    for (let i = 0; i < names.length; i++) {
      const name = names[(turn + i) % names.length] ?? 'bare'
      const way = ways[name]
      const started = process.hrtime.bigint()
      for (const token of batch) await way(token)
      times[name].push(Number(process.hrtime.bigint() - started) / BATCH)
    }
  }
  return {
    bare: quantile(times.bare, 0.5),
    bareThenCheck: quantile(times.bareThenCheck, 0.5),
    verify: quantile(times.verify, 0.5),
  }
}
