import { KnellError } from './errors.ts'

/** A place in the feed of one tenant, log and shard. Positions order by term, then by `seq`. */
export interface Position {
  readonly term: number
  readonly seq: number
}

export type Log = 'revocations' | 'expiries'
export const logs: readonly Log[] = ['revocations', 'expiries']

export const ORIGIN: Position = { term: 0, seq: 0 }

export function comparePositions(a: Position, b: Position): number {
  return a.term - b.term || a.seq - b.seq
}

/** `<term>-<seq>`, which is also the stream id of the entry. */
export function formatPosition(position: Position): string {
  return `${position.term}-${position.seq}`
}

/** The place of an entry as text, `<tenant>.<log>.<shard>.<term>-<seq>`: also its `message-id`. */
export function formatPlace(place: {
  readonly tenant: string
  readonly log: Log
  readonly shard: number
  readonly position: Position
}): string {
  return `${place.tenant}.${place.log}.${place.shard}.${formatPosition(place.position)}`
}

const POSITION = /^(\d{1,16})-(\d{1,16})$/

/** Parses `<term>-<seq>`. @throws KnellError `invalid_position` */
export function parsePosition(text: string): Position {
  const found = POSITION.exec(text)
  if (!found) {
    throw new KnellError(
      'invalid_position',
      `"${text.slice(0, 40)}" is not a position; send <term>-<seq>, for example 1732212000000-18231, as an earlier answer gave it.`,
    )
  }
  return { term: Number(found[1]), seq: Number(found[2]) }
}

const EPOCH = /^(\d{1,16})\.([a-z0-9]{1,16})$/

/** The term of an epoch `<term>.<random>`, or undefined where the text is not an epoch. */
export function termOf(epoch: string): number | undefined {
  const found = EPOCH.exec(epoch)
  return found ? Number(found[1]) : undefined
}
