/** An entry of revoked subjects as a relay would send it, with a member of a later version in every event. */
export function entryOf(seq: number, subs: readonly string[], more: object = {}): string {
  return JSON.stringify({
    v: 1,
    tenant: 'default',
    log: 'revocations',
    shard: 1,
    epoch: '1700000000000.abc',
    seq,
    at: 1_700_000_000_000,
    kind: 'revoked',
    events: subs.map((sub) => ({
      match: { sub },
      cutoffs: [{ id: `r-${sub}`, issuedBefore: null }],
      until: 4_000_000_000,
      later: 'a member of a later version',
    })),
    ...more,
  })
}
