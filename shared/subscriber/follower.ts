import { setImmediate as turn } from 'node:timers/promises'
import type { Beat, Tail } from '../domain/beat.ts'
import { positionOf, WIRE_VERSION, type Entry, type RevocationKind } from '../domain/entry.ts'
import type { KnellError } from '../domain/errors.ts'
import type { Arrival } from '../domain/log-tracker.ts'
import { PREFER_RUNS, ruleOfRun } from '../domain/plain-run.ts'
import { formatPosition, logs, type Log, type Position } from '../domain/position.ts'
import { elapsed, type StoreClock, type Moment } from '../domain/store-clock.ts'
import { View, type Applied, type FeedPage, type Standing } from '../domain/view.ts'
import type { EventVerifier } from '../signing/event-verifier.ts'
import { parseFeedPage, type RuleLine, type RunLine } from './messages.ts'
import type { Rule } from '../domain/rule.ts'
import { inPullSpan } from './apply-span.ts'
import { Asked } from './asked.ts'
import type { Presence, TenantPresence } from './presence.ts'
import type { PullClient } from './pull-client.ts'
import { PullLoop } from './pull-loop.ts'
import { Pulse } from './pulse.ts'
import { refusal } from './refusals.ts'
import { newNonce, openPage } from './signed-answers.ts'
import { readSignedSnapshot, readSnapshot, rulesIn, type SnapshotPart } from './snapshot-reader.ts'
import { thisMoment } from '../process/this-moment.ts'

/** A hole may only be a reordering, so it is given this long to close, and as much again at random. */
const HOLE_MS = 250
/** A signed entry of a term that is over may still be on its way for this long; later it is a copy that somebody kept. */
const LATE_MS = 60_000
const MAX_UNREADY = 1000
/** An answer that took longer bounds the store's clock too badly: whoever held it back could put off every `exp`. */
const MAX_ROUND_MS = 5000
/** So many rules are packed tightly at a stretch: some ms, and then others have their turn. */
const TIGHTEN_AT_ONCE = 50_000

export interface FollowerEvents {
  /** `via`: whether the entry itself came, or only what a later snapshot has of it. */
  onApplied(entry: Entry, applied: Applied, via: 'entry' | 'snapshot'): void
  /** A beat was heard. `beatMs`: how often they come. */
  onBeat(beatMs: number): void
  /** Somebody waits to hear of what has now been applied. */
  onAsked(): void
  onReady(): void
  onPull(what: 'snapshot' | Log, entries: number): void
  onInvalid(count: number): void
  /** A signed message was pushed that said nothing new; `error` where that can hardly be chance. */
  onReplayed(error?: KnellError): void
  /** The feed no longer reaches back to where this instance stood: expiries were missed for good. */
  onTrimmed(log: Log): void
  onProblem(error: unknown): void
}

/** Keeps the view of one tenant complete: applies what is pushed, and pulls what is missing. */
export class Follower {
  readonly view: View
  readonly #client: PullClient
  readonly #clock: StoreClock
  readonly #service: string
  readonly #instance: string
  readonly #shared: Presence
  /** What the tenant's part of the store knows of this instance. */
  readonly presence: TenantPresence
  readonly #verifier: EventVerifier | undefined
  readonly #events: FollowerEvents
  readonly #loops: Readonly<Record<Log, PullLoop>>
  #holeTimer: NodeJS.Timeout | undefined
  /** The newest tails heard of while something before them was missing. */
  readonly #awaited = new Map<Log, readonly Tail[]>()
  readonly #asked = new Asked()
  #expiries: 'off' | 'starting' | 'on' = 'off'
  #early: Entry[] = []
  /** Signed entries that came before the first snapshot: until then a copy of long ago looks like news. */
  #unready: Entry[] = []
  /** The newest store state seen in the view, and when it was first seen. */
  #asOf = 0
  #newsAt = thisMoment()
  readonly #pulse = new Pulse()

  constructor(options: {
    tenant: string
    client: PullClient
    clock: StoreClock
    service: string
    instance: string
    presence: Presence
    verifier?: EventVerifier | undefined
    isPushed: () => boolean
    longPollMs: number
    renewMs: number
    events: FollowerEvents
  }) {
    this.view = new View(options.tenant, { seed: Math.floor(Math.random() * 2 ** 32) })
    this.#client = options.client
    this.#clock = options.clock
    this.#service = options.service
    this.#instance = options.instance
    this.#shared = options.presence
    this.presence = options.presence.of(options.tenant)
    this.#verifier = options.verifier
    this.#events = options.events
    const loop = (pull: (waitMs: number, signal: AbortSignal) => Promise<boolean>): PullLoop =>
      new PullLoop({
        isPushed: () => options.isPushed() && !this.#pulse.isSilent,
        longPollMs: options.longPollMs,
        renewMs: options.renewMs,
        pull,
        onProblem: (error) => options.events.onProblem(error),
      })
    this.#loops = {
      revocations: loop((waitMs, signal) => this.#pullRevocations(waitMs, signal)),
      expiries: loop((waitMs, signal) => this.#pullExpiries(waitMs, signal)),
    }
  }

  get tenant(): string {
    return this.view.tenant
  }

  /** Whether the store may no longer wait for this instance, so that what the view says proves nothing. */
  isUnheard(now: Moment): boolean {
    return this.presence.isUnheard(now)
  }

  /** What names this instance to the store when it pulls. */
  #identity(maxStalenessMs: number | null): Record<string, string> {
    return {
      service: this.#service,
      instance: this.#instance,
      maxStalenessMs: String(maxStalenessMs),
    }
  }

  start(): void {
    this.#loops.revocations.start()
  }

  async stop(): Promise<void> {
    clearTimeout(this.#holeTimer)
    await Promise.all([this.#loops.revocations.stop(), this.#loops.expiries.stop()])
  }

  /** From now on expiries are followed, from the present tail on. */
  followExpiries(): void {
    if (this.#expiries !== 'off') return
    this.#expiries = 'starting'
    this.#loops.expiries.start()
  }

  /** The push path came or went: either way something may be missing. */
  pushChanged(): void {
    this.#pulse.heard(performance.now())
    this.wake()
  }

  /** Pulls now. */
  wake(): void {
    this.#loops.revocations.wake()
    this.#loops.expiries.wake()
  }

  /**
   * Looks whether the push path has fallen silent, though connected: its beats do not come. Then
   * this tenant is pulled as if it were down, and so it is where forgeries overwhelm it. Returns
   * whether it is silent.
   */
  listen(overwhelmed: boolean): boolean {
    if (this.#pulse.look(overwhelmed)) this.wake()
    return this.#pulse.isSilent
  }

  /** Returns what became of it: how it arrived, or `waits` where it is not applied yet, or is not to be. */
  onEntry(entry: Entry): Arrival | 'waits' {
    if (entry.log === 'expiries' && this.#expiries !== 'on') {
      // It is not known yet whether this lies before or after the tail this listener starts at.
      if (this.#expiries === 'starting' && this.#early.length < 10_000) this.#early.push(entry)
      return 'waits'
    }
    if (this.#verifier !== undefined && !this.#admits(entry)) return 'waits'
    if (entry.ack === true) this.#asked.add(entry.shard, entry)
    const applied = this.view.apply(entry)
    this.#noteNews()
    if (this.#verifier !== undefined && applied.arrival === 'known') this.#events.onReplayed()
    this.#applied(entry, applied)
    this.#answer()
    return applied.arrival
  }

  /** Whether a signed entry may be applied now: not before the first snapshot, and not as a copy of long ago. */
  #admits(entry: Entry): boolean {
    if (!this.view.ready) {
      if (this.#unready.length < MAX_UNREADY) this.#unready.push(entry)
      return false
    }
    if (!this.#isKept(entry)) return true
    const { tenant, log, shard, epoch, seq } = entry
    const place = `${tenant} ${log} ${shard} ${epoch} ${seq}`
    this.#events.onReplayed(refusal('replayed', `An entry of long ago came: ${place}.`))
    return false
  }

  /** Whether a signed entry is of a term that is over, and too old to be still on its way. */
  #isKept(entry: Entry): boolean {
    const { term } = positionOf(entry)
    if (term >= this.view.tracker(entry.log).position(entry.shard).term) return false
    return !this.#clock.isSet || this.#clock.latest(thisMoment()) - entry.at > LATE_MS
  }

  /** Tells, once the positions are reached, whoever asked for it. */
  #answer(): void {
    const reached = (shard: number): Position => this.view.revocations.position(shard)
    if (this.#asked.settle(reached)) this.#events.onAsked()
  }

  /**
   * The age (ms) of the newest store state that the view provably contains: by the store's clock,
   * and at least as long as this process has seen none newer, whatever became of that clock.
   */
  staleMs(now: Moment): number {
    const { asOf, ready } = this.view
    if (!ready) return Infinity
    return Math.round(Math.max(0, this.#clock.latest(now) - asOf, elapsed(this.#newsAt, now)))
  }

  /** To be called whenever the view may contain a newer store state. */
  #noteNews(): void {
    if (this.view.asOf === this.#asOf) return
    this.#asOf = this.view.asOf
    this.#newsAt = thisMoment()
  }

  #applied(entry: Entry, applied: Applied): void {
    if (applied.arrival === 'foreign') this.#loops[entry.log].wake()
    if (applied.arrival === 'ahead') this.#awaitHole()
    if (applied.rules.length > 0 || applied.expiries.length > 0) {
      this.#events.onApplied(entry, applied, 'entry')
    }
  }

  onBeat(beat: Beat): void {
    // Of those that come before the first snapshot nobody can tell how old they are; it says all they could.
    if (this.#verifier !== undefined && !this.view.ready) return
    if (!this.#pulse.isNews(beat)) {
      const text = `A beat of ${beat.tenant} is no newer than one heard before.`
      return this.#events.onReplayed(refusal('replayed', text))
    }
    // A beat that was kept somewhere says nothing about the way now.
    const now = thisMoment()
    const age = this.#clock.isSet ? Math.max(0, this.#clock.latest(now) - beat.at) : 0
    this.#pulse.heard(now.mono - age)
    const standing = this.view.hear(beat)
    this.#noteNews()
    this.#events.onBeat(this.#pulse.beatMs)
    if (standing === 'foreign') this.#loops.revocations.wake()
    if (standing === 'behind') this.#awaitTails('revocations', beat.tails.revocations)
    if (this.#expiries !== 'on') return
    const expiries = this.view.expiries.compare(beat.tails.expiries)
    if (expiries === 'foreign') this.#loops.expiries.wake()
    if (expiries === 'behind') this.#awaitTails('expiries', beat.tails.expiries)
  }

  #awaitTails(log: Log, tails: readonly Tail[]): void {
    this.#awaited.set(log, tails)
    this.#awaitHole()
  }

  /** Looks again after a moment, and pulls what has still not come: delivery reorders. */
  #awaitHole(): void {
    if (this.#holeTimer !== undefined) return
    const delay = HOLE_MS * (1 + Math.random())
    this.#holeTimer = setTimeout(() => {
      this.#holeTimer = undefined
      for (const log of logs) {
        const tracker = this.view.tracker(log)
        const tails = this.#awaited.get(log)
        const behind = tails !== undefined && tracker.compare(tails) === 'behind'
        if (behind || tracker.hasHole) this.#loops[log].wake()
      }
      this.#awaited.clear()
    }, delay)
  }

  async #pullRevocations(waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.view.needsSnapshot) return this.#snapshot(signal)
    const { page, standing } = await this.#pull('revocations', waitMs, signal)
    if (standing === 'older') {
      this.#client.rotate()
      return false
    }
    return !page.more && standing === 'reached'
  }

  async #pullExpiries(waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (!this.view.ready) return false
    if (this.#expiries === 'starting') {
      const { page } = await this.#fetchPage('expiries', '', 0, signal)
      this.view.startExpiries(page.tails)
      this.#expiries = 'on'
      for (const entry of this.#early.splice(0)) this.onEntry(entry)
      return true
    }
    const { page } = await this.#pull('expiries', waitMs, signal)
    if (page.trimmed.length > 0) this.#events.onTrimmed('expiries')
    return !page.more
  }

  async #pull(
    log: Log,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<{ page: FeedPage; standing: Standing }> {
    const after = this.view.positions(log).map(formatPosition).join(',')
    const { page, invalid } = await this.#fetchPage(log, after, waitMs, signal)
    if (invalid > 0) this.#events.onInvalid(invalid)
    const standing = inPullSpan(page, () => this.#applyPage(page))
    this.#answer()
    return { page, standing }
  }

  #applyPage(page: FeedPage): Standing {
    const { log, entries } = page
    const { standing, applied } = this.view.applyPage(page)
    this.#noteNews()
    this.#events.onPull(log, entries.length)
    for (const [i, entry] of entries.entries()) {
      const one = applied[i]
      if (one !== undefined && (one.rules.length > 0 || one.expiries.length > 0)) {
        this.#events.onApplied(entry, one, 'entry')
      }
      if (entry.ack === true && log === 'revocations') this.#asked.add(entry.shard, entry)
    }
    return standing
  }

  async #fetchPage(
    log: Log,
    after: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<{ page: FeedPage; invalid: number }> {
    const { tenant } = this.view
    const { maxStalenessMs } = this.#shared
    const sent = thisMoment()
    const query = this.#question({
      tenant,
      log,
      after,
      waitMs: String(waitMs),
      asOf: String(this.view.asOf),
      ...this.#identity(maxStalenessMs),
    })
    const value = await this.#client.json({ path: '/v1/feed', query, waitMs, signal })
    const received = thisMoment()
    const read = this.#reading(() => {
      const verifier = this.#verifier
      const page = verifier === undefined ? value : openPage(verifier, value, query)
      return parseFeedPage(page, tenant, log)
    })
    // Only an answer that did not wait bounds the store's clock closely, and only one at least as new as the view.
    const older = log === 'revocations' && this.view.revocations.isBefore(read.page.tails)
    if (waitMs === 0 && !older) this.#setClock(read.page.at, sent, received)
    this.presence.pulled(sent, maxStalenessMs)
    return read
  }

  #question(query: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    if (this.#verifier === undefined) return query
    return { ...query, nonce: newNonce() }
  }

  /** Reads an answer; after one that cannot be read, or is not to be believed, another URL is asked. */
  #reading<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      this.#client.rotate()
      throw error
    }
  }

  #setClock(at: number, sent: Moment, received: Moment): void {
    if (this.#clock.isSet && received.mono - sent.mono > MAX_ROUND_MS) return
    this.#clock.set(at, sent, received)
  }

  /** Reads a snapshot whole. What comes of a broken one is merged too, since a rule is true wherever it stands, but only a whole one counts. */
  async #snapshot(signal: AbortSignal): Promise<boolean> {
    const { view } = this
    // A fleet that sees a new epoch at once must not ask at once.
    if (view.ready) await pause(Math.random() * 500, signal)
    const wasReady = view.ready
    const { maxStalenessMs } = this.#shared
    const sent = thisMoment()
    const query = this.#question({ tenant: view.tenant, ...this.#identity(maxStalenessMs) })
    const response = await this.#client.open({
      path: '/v1/snapshot',
      query,
      headers: { prefer: PREFER_RUNS },
      signal,
    })
    let count = 0
    let isFirst = true
    view.rules.loosen()
    try {
      for await (const { head, lines, count: total } of this.#parts(response, query)) {
        if (isFirst) {
          this.#setClock(head.at, sent, thisMoment())
          this.#pulse.setBeatMs(head.beatMs)
          isFirst = false
        }
        // At boot everything is news; later on what comes this way was missed, and listeners must hear of it.
        for (const line of lines) this.#putLine(line, wasReady ? head.at : undefined)
        count += rulesIn(lines)
        if (total === undefined) continue
        if (total !== count) break
        await this.#tighten()
        view.endSnapshot(head)
        this.#noteNews()
        this.#pulse.pass(head)
        this.presence.pulled(sent, maxStalenessMs)
        this.#events.onPull('snapshot', count)
        if (!wasReady) this.#events.onReady()
        for (const entry of this.#unready.splice(0)) this.onEntry(entry)
        this.#answer()
        return !view.needsSnapshot
      }
    } catch (error) {
      this.#client.rotate()
      throw error
    } finally {
      await this.#tighten()
    }
    this.#client.rotate()
    throw new Error('The snapshot broke off before its end.')
  }

  async #tighten(): Promise<void> {
    while (!this.view.rules.tighten(TIGHTEN_AT_ONCE)) await turn()
  }

  #parts(
    response: AsyncIterable<Uint8Array>,
    question: Readonly<Record<string, string>>,
  ): AsyncGenerator<SnapshotPart> {
    const verifier = this.#verifier
    if (verifier === undefined) return readSnapshot(response, this.tenant)
    return readSignedSnapshot(response, verifier, question)
  }

  /** `announcedAt`: the time (ms) at which what is new is announced, where it is. */
  #putLine(line: RuleLine | RunLine, announcedAt: number | undefined): void {
    const { view } = this
    if ('run' in line) {
      const { run } = line
      view.putRun(run, (at) => {
        if (announcedAt === undefined) return
        this.#announceRule({ ...run, ...ruleOfRun(run, at) }, announcedAt)
      })
      return
    }
    const isNews = view.putRule(line.shard, line.position, line.rule)
    if (announcedAt !== undefined && isNews) this.#announceRule(line, announcedAt)
  }

  #announceRule({ shard, epoch, position, rule }: Omit<RuleLine, 'end'>, at: number): void {
    const { tenant } = this.view
    const { seq } = position
    const kind = kindOf(rule)
    const events = [rule]
    this.#events.onApplied(
      { v: WIRE_VERSION, tenant, log: 'revocations', shard, epoch, seq, at, kind, events },
      { arrival: 'known', rules: events, expiries: [] },
      'snapshot',
    )
  }
}

/** What a rule amounts to, for a listener that missed the event itself. */
function kindOf({ held, cutoffs, releasedBefore }: Rule): RevocationKind {
  if (cutoffs !== undefined) return 'revoked'
  if (held === true) return 'held'
  return releasedBefore === undefined ? 'restored' : 'released'
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
