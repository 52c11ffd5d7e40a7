/** A plain revocation of a `jti`, as texts: what a run of a snapshot says of it. */
export interface PlainStored {
  readonly epoch: string
  readonly seq: string
  readonly jti: string
  /** The last part of the id of its cut-off. */
  readonly index: string
  readonly until: string
  readonly reason: string
}

// As the commit script writes it, with nothing behind the wire text. The cut-off was made where the rule was last written.
const PLAIN =
  /^((\d{1,16})\.[a-z0-9]{1,16})-(\d{1,15})\n\{"match":\{"jti":"([0-9a-f-]{36})"\},"cutoffs":\[\{"id":"r(\d{1,4})-\2-\3-(\d{1,4})","issuedBefore":null\}\],"held":false,"until":(\d{1,12}),"reason":"([a-z-]{1,20})"\}\n$/

/** Reads a stored rule of this shard that is one; undefined for every other. */
export function readPlainStored(text: string, shard: number): PlainStored | undefined {
  const found = PLAIN.exec(text)
  if (found === null) return undefined
  const [, epoch, , seq, jti, madeIn, index, until, reason] = found as unknown as string[]
  if (Number(madeIn) !== shard) return undefined
  return { epoch, seq, jti, index, until, reason } as PlainStored
}
