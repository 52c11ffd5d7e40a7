import type { Beat } from '../domain/beat.ts'
import { comparePositions, ORIGIN, termOf, type Position } from '../domain/position.ts'
import type { SnapshotHead } from '../domain/view.ts'

/** The push path counts as silent after so many beats that did not come. */
const SILENT_BEATS = 3
const DEFAULT_BEAT_MS = 2000

/** The beats of one tenant's push path: which is the newest, and whether they have fallen silent. */
export class Pulse {
  /** Term and time (as `seq`) of the newest beat heard. */
  #newest = ORIGIN
  #beatMs = DEFAULT_BEAT_MS
  #heardAt = performance.now()
  #silent = false

  /** How often beats come, in ms. */
  get beatMs(): number {
    return this.#beatMs
  }

  get isSilent(): boolean {
    return this.#silent
  }

  /** Whether a beat is newer than all before it; from then on it is the newest. */
  isNews(beat: Beat): boolean {
    const place = placeOf(beat)
    if (comparePositions(place, this.#newest) <= 0) return false
    this.#newest = place
    return true
  }

  /** A beat was under way until this time (`performance.now()`), or the push path came or went then. */
  heard(at: number): void {
    this.#heardAt = Math.max(this.#heardAt, at)
  }

  /** No beat from before a snapshot is news any more, but for those that may be on their way. */
  pass(head: SnapshotHead): void {
    const { term, seq } = placeOf(head)
    const place = { term, seq: seq - this.#silenceMs }
    if (comparePositions(place, this.#newest) > 0) this.#newest = place
  }

  setBeatMs(beatMs: number | undefined): void {
    this.#beatMs = beatMs ?? this.#beatMs
  }

  /** Looks whether the beats have fallen silent; so they count where forgeries overwhelm them. Returns whether that changed. */
  look(overwhelmed: boolean): boolean {
    const silent = overwhelmed || performance.now() - this.#heardAt > this.#silenceMs
    const changed = silent !== this.#silent
    this.#silent = silent
    return changed
  }

  /** Without a beat for so long the push path counts as silent. */
  get #silenceMs(): number {
    return SILENT_BEATS * this.#beatMs + 1000
  }
}

/** Term and time of what names all tails: beats of one store are in this order. */
function placeOf({ at, tails }: Beat | SnapshotHead): Position {
  return { term: termOf(tails.revocations[0]?.epoch ?? '') ?? 0, seq: at }
}
