import { setImmediate as turn } from 'node:timers/promises'
import type { EventSigner, Signed } from '../signing/event-signer.ts'
import { digestOf, LinesDigest } from '../signing/digest.ts'

/** A caller's query, as it came. What is signed repeats it, so that no answer can serve for another question. */
export type Asked = Readonly<Record<string, unknown>>

/** So many entries are signed, some 3 ms, before others have their turn. */
const SIGNED_AT_ONCE = 100

/**
 * A page of the feed, signed: what it says is repeated in the envelope, with the question and a
 * digest of the entries' bodies.
 */
export async function signedPage(
  signer: EventSigner,
  head: object,
  bodies: readonly string[],
  asked: Asked,
): Promise<string> {
  const entries: Signed[] = []
  for (const body of bodies) {
    entries.push({ body, signature: signer.signOnce(body) })
    if (entries.length % SIGNED_AT_ONCE === 0) await turn()
  }
  const envelope = signer.signed('page', {
    ...head,
    asked,
    count: bodies.length,
    sha256: digestOf(bodies),
  })
  return JSON.stringify({ ...head, entries, envelope })
}

/** At the latest after so many rules, or bytes, a subscriber must be able to apply them. */
const MAX_RULES = 500
const MAX_BYTES = 1_000_000

/** Puts checkpoints between the lines of a snapshot: each signs every line so far. */
export class SnapshotSigner {
  readonly #signer: EventSigner
  readonly #facts: object
  readonly #digest = new LinesDigest()
  #count = 0
  #unsigned = 0
  #bytes = 0

  /** `facts`: what every checkpoint says besides, such as whose snapshot it is and who asked for it. */
  constructor(signer: EventSigner, facts: object) {
    this.#signer = signer
    this.#facts = facts
  }

  head(line: string): void {
    this.#digest.add(line)
  }

  /** Takes the next line, of so many rules. Returns a checkpoint where one is due. */
  rules(line: string, count: number): string | undefined {
    this.#digest.add(line)
    this.#count += count
    this.#unsigned += count
    this.#bytes += line.length
    const isDue = this.#unsigned >= MAX_RULES || this.#bytes >= MAX_BYTES
    return isDue ? this.checkpoint() : undefined
  }

  /** A line that signs all before it. Undefined where no rule has come since the last one. */
  checkpoint(): string | undefined {
    if (this.#unsigned === 0) return undefined
    this.#unsigned = 0
    this.#bytes = 0
    return JSON.stringify({ checkpoint: this.#count, ...this.#sign({}) })
  }

  end(): string {
    return JSON.stringify({ end: true, count: this.#count, ...this.#sign({ end: true }) })
  }

  #sign(more: object): { body: string; signature: string } {
    const sha256 = this.#digest.value()
    return this.#signer.signed('snapshot', { ...this.#facts, count: this.#count, sha256, ...more })
  }
}
