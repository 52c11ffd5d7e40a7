import { matchKey, type Match } from './claims.ts'

const encoder = new TextEncoder()

/** FNV-1a over the UTF-8 bytes, 32 bits. Part of the store's layout: changing it loses every key. */
function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

export function shardOfJti(jti: string, shards: number): number {
  return hashText(jti) % shards
}

/** A rule that names a `jti` lives where that token's expiry lives; any other in the shard of its match. */
export function shardOfMatch(match: Match, shards: number): number {
  const { jti } = match
  return typeof jti === 'string' ? shardOfJti(jti, shards) : hashText(matchKey(match)) % shards
}
