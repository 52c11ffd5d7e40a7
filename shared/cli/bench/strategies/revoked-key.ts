/** The key of a revoked token. By `jti` alone, which is the least that such a list can hold. */
export function revokedKey(namespace: string, jti: unknown): string {
  return `${namespace}:revoked:${String(jti)}`
}
