import { readPlainStored, type PlainStored } from '../store/plain-stored.ts'
import type { SnapshotPage } from '../store/snapshot.ts'
import { splitStoredRule } from '../store/stored-rule.ts'

/** A line of a snapshot, and how many rules it says. */
export interface RulesLine {
  readonly line: string
  readonly count: number
}

/** So many rules at most are in one run: as many as may lie between two checkpoints. */
const MAX_RUN = 500

/** A line for each rule. */
export function linesOf({ shard, rules }: SnapshotPage): RulesLine[] {
  return rules.map((text) => lineOf(shard, text))
}

/** A line for each rule that is not plain, and then one for all plain ones of an epoch and reason. */
export function linesWithRuns({ shard, rules }: SnapshotPage): RulesLine[] {
  const lines: RulesLine[] = []
  const runs: Run[] = []
  let run: Run | undefined
  for (const text of rules) {
    const plain = readPlainStored(text, shard)
    if (plain === undefined) {
      lines.push(lineOf(shard, text))
      continue
    }
    if (run === undefined || !run.takes(plain)) {
      run = runs.find((each) => each.takes(plain))
      if (run === undefined) runs.push((run = new Run(shard, plain)))
    }
    run.add(plain)
  }
  return [...lines, ...runs.map((each) => each.line())]
}

function lineOf(shard: number, text: string): RulesLine {
  const { epoch, seq, wire } = splitStoredRule(text)
  return { line: `{"shard":${shard},"epoch":"${epoch}","seq":${seq},"rule":${wire}}`, count: 1 }
}

/** Made of texts: no number is read on the way. */
class Run {
  readonly #shard: number
  readonly #epoch: string
  readonly #reason: string
  #count = 0
  #jtis = ''
  #seqs = ''
  #indexes = ''
  #untils = ''

  constructor(shard: number, { epoch, reason }: PlainStored) {
    this.#shard = shard
    this.#epoch = epoch
    this.#reason = reason
  }

  takes({ epoch, reason }: PlainStored): boolean {
    return this.#count < MAX_RUN && this.#epoch === epoch && this.#reason === reason
  }

  add({ seq, jti, index, until }: PlainStored): void {
    const comma = this.#count === 0 ? '' : ','
    this.#count += 1
    this.#jtis += jti
    this.#seqs += comma + seq
    this.#indexes += comma + index
    this.#untils += comma + until
  }

  line(): RulesLine {
    const line = `{"shard":${this.#shard},"epoch":"${this.#epoch}","reason":"${this.#reason}","jtis":"${this.#jtis}","seqs":[${this.#seqs}],"indexes":[${this.#indexes}],"untils":[${this.#untils}]}`
    return { line, count: this.#count }
  }
}
