import type { Match } from '../domain/claims.ts'
import { isRecord, parseRule } from '../domain/entry.ts'
import type { Cutoff, Rule } from '../domain/rule.ts'
import { fromStore } from './stored-json.ts'

/** A rule as the store keeps it. */
export interface StoredRule {
  readonly epoch: string
  readonly seq: number
  readonly rule: Rule
  /** Every cut-off, those left off the wire included; absent where the wire text says all. */
  readonly cutoffs?: readonly KeptCutoff[]
}

export interface KeptCutoff extends Cutoff {
  /** Ids of older cut-offs that were folded into this one and can only be restored with it. */
  readonly folded?: readonly string[]
}

/** A cut-off in the short form the script keeps. */
interface StoredCutoff {
  readonly i: string
  readonly b?: number
  readonly x?: string
  readonly f?: readonly string[]
}

function toKeptCutoff({ i: id, b, x, f }: StoredCutoff): KeptCutoff {
  return {
    id,
    issuedBefore: b ?? null,
    ...(x === undefined ? {} : { except: JSON.parse(x) as Match }),
    ...(f === undefined ? {} : { folded: f }),
  }
}

/** The wire text of a stored rule and where it was written, as texts. */
export function splitStoredRule(text: string): {
  epoch: string
  seq: string
  wire: string
  rest: string
} {
  const [place, after] = splitAt(text, '\n')
  const [epoch, seq] = splitAt(place, '-')
  const [wire, rest] = splitAt(after, '\n')
  return { epoch, seq, wire, rest }
}

/** @throws KnellError `store_corrupt` */
export function parseStoredRule(text: string): StoredRule {
  return fromStore(() => readRule(text))
}

function readRule(text: string): StoredRule {
  const { epoch, seq, wire, rest } = splitStoredRule(text)
  const rule = { epoch, seq: Number(seq), rule: parseRule(JSON.parse(wire)) }
  const full: unknown = rest === '' ? undefined : JSON.parse(rest)
  if (!isRecord(full) || !Array.isArray(full['c'])) return rule
  return { ...rule, cutoffs: (full['c'] as StoredCutoff[]).map(toKeptCutoff) }
}

export function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + mark.length)]
}
