import type { TokenRecord } from '../../store/token-store.ts'

/** A good mix of all 32 bits, so that ids that are made of a counter look random. */
function mix(value: number): number {
  let mixed = value ^ (value >>> 16)
  mixed = Math.imul(mixed, 0x7feb352d)
  mixed ^= mixed >>> 15
  mixed = Math.imul(mixed, 0x846ca68b)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

const HEX: readonly string[] = Array.from({ length: 65_536 }, (_, value) =>
  value.toString(16).padStart(4, '0'),
)

function hex(value: number): string {
  return `${HEX[value >>> 16]}${HEX[value & 0xffff]}`
}

/** The id of token `index`, a version 4 UUID (RFC 9562): two processes that never talk make the same ones. */
export function jtiOf(index: number): string {
  const [b, c] = [mix(4 * index + 2), mix(4 * index + 3)]
  const version = HEX[0x4000 | (b & 0xfff)]
  const variant = HEX[0x8000 | ((c >>> 16) & 0x3fff)]
  const tail = `${HEX[c & 0xffff]}${hex(mix(4 * index + 4))}`
  return `${hex(mix(4 * index + 1))}-${HEX[b >>> 16]}-${version}-${variant}-${tail}`
}

/** A token as large identity providers make them. */
export function tokenOf(index: number, exp: number): TokenRecord {
  const user = mix(index)
  return {
    jti: jtiOf(index),
    exp,
    sub: `auth0|${hex(user)}${hex(mix(user))}${hex(mix(user + 1))}`,
    sid: `${hex(mix(user + 2))}${hex(mix(user + 3))}${hex(mix(user + 4))}`.slice(0, 22),
    client_id: 'mobile-app',
  }
}

/** What must be kept of such a token besides its `exp`: the characters of its claims. */
export function payloadBytes({ jti, sub = '', sid = '', client_id = '' }: TokenRecord): number {
  return jti.length + sub.length + sid.length + client_id.length
}
