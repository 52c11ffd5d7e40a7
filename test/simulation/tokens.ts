import type { Match } from '../../shared/domain/claims.ts'
import type { Random } from './random.ts'

/** A token that services are asked about all along. */
export interface SimToken {
  readonly claims: {
    /** The tenant; Knell, which is told it beside the claims, makes nothing of it here. */
    readonly tnt: string
    readonly jti: string
    readonly sub: string
    readonly sid: string
    readonly client_id: string
    readonly iat: number
    readonly exp: number
  }
  readonly header: { readonly kid: string }
}

const SUBS = ['alice', 'bob']
const SIDS = ['s-1', 's-2', 's-3']
const CLIENTS = ['web', 'app']
const KIDS = ['k-1', 'k-2']
const COUNT = 10
const TWINS = 3

/** Some tokens of few people, so that rules of all kinds meet; about a third expire within the run. */
export function makeTokens(
  random: Random,
  startMs: number,
  tenants: readonly string[],
): SimToken[] {
  const start = Math.floor(startMs / 1000)
  const tokens = Array.from({ length: COUNT }, (_, i) => {
    const iat = start + random.between(-60, 20)
    const isShort = random.chance(0.35)
    const exp = isShort ? start + random.between(4, 30) : iat + random.between(300, 600)
    // Those that look like a uuid are packed by the views, the others are not.
    const jti = random.chance(0.5) ? uuidOf(random) : `t-${i}`
    return {
      claims: {
        tnt: random.pick(tenants),
        jti,
        sub: random.pick(SUBS),
        sid: random.pick(SIDS),
        client_id: random.pick(CLIENTS),
        iat,
        exp: Math.max(exp, iat + 1),
      },
      header: { kid: random.chance(0.8) ? 'k-1' : 'k-2' },
    }
  })
  // The same to the letter, but of another tenant.
  const twins = tokens
    .slice(0, TWINS)
    .flatMap(({ claims, header }) =>
      tenants
        .filter((each) => each !== claims.tnt)
        .map((tnt) => ({ claims: { ...claims, tnt }, header })),
    )
  return [...tokens, ...twins]
}

function uuidOf(random: Random): string {
  const hex = random.bytes(16).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

/** What a change may be about. */
export function makeMatch(random: Random, tokens: readonly SimToken[]): Match {
  const { claims } = random.pick(tokens)
  const kind = random.fraction()
  if (kind < 0.35) return { jti: claims.jti }
  if (kind < 0.6) return { sub: claims.sub }
  if (kind < 0.8) return { sid: claims.sid }
  if (kind < 0.9) return { client_id: claims.client_id, sub: claims.sub }
  if (kind < 0.95) return { client_id: claims.client_id, sid: claims.sid }
  return kind < 0.98 ? { kid: random.pick(KIDS) } : {}
}
