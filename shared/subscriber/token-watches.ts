import { setMaxListeners } from 'node:events'
import { deathOf, type Death, type DeathCode } from '../domain/death.ts'
import type { Claims, Header } from '../domain/claims.ts'
import { LiveTokens, NONE } from '../domain/live-tokens.ts'
import { isLive, type Rule } from '../domain/rule.ts'
import type { StoreClock } from '../domain/store-clock.ts'
import type { View } from '../domain/view.ts'
import type { SubscriberLog } from './options.ts'
import { TokenDeath } from './token-death.ts'
import {
  controllerOf,
  Watch,
  watchesOf,
  withWaiter,
  type DeathListener,
  type Waiters,
} from './waiters.ts'
import { thisMoment } from '../process/this-moment.ts'

/** For so long, in ms, tokens are judged in one go before others get their turn. */
const SLICE_MS = 4
/** So many tokens are judged before the clock is looked at, and at once when a rule comes. */
const PER_LOOK = 32
/** No timer is set for longer, in ms, since the offset to the store's clock changes. */
const MAX_TIMER_MS = 10_000

interface Watched {
  readonly view: View
  readonly tokens: LiveTokens<Waiters>
}

/**
 * Whoever waits for the death of a token. An event only says which tokens to judge again; the whole
 * state of the view decides, so it does not matter how and in which order rules come. There is one
 * timer, for the next second in which a token expires.
 */
export class TokenWatches {
  readonly deaths: Record<DeathCode, number> = { revoked: 0, held: 0, expired: 0 }
  readonly #clock: StoreClock
  readonly #observe: boolean
  readonly #log: SubscriberLog
  readonly #onFault: (error: unknown) => void
  readonly #tenants = new Map<View, Watched>()
  /** Those with tokens to judge, the next one first. */
  readonly #busy = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined
  /** The second (NumericDate) for which the timer is set. */
  #timerFor = Infinity
  #slice: NodeJS.Immediate | undefined
  #observed = 0
  #closed = false

  constructor(options: {
    clock: StoreClock
    observe: boolean
    log: SubscriberLog
    /** A listener threw. */
    onFault: (error: unknown) => void
  }) {
    this.#clock = options.clock
    this.#observe = options.observe
    this.#log = options.log
    this.#onFault = options.onFault
  }

  /** How many tokens are waited for. */
  get size(): number {
    let size = 0
    for (const { tokens } of this.#tenants.values()) size += tokens.size
    return size
  }

  signal(view: View, claims: Claims, header: Header | undefined): AbortSignal {
    const watched = this.#watched(view)
    const { tokens } = watched
    const text = tokens.pack(claims, header)
    const row = tokens.find(text, claims)
    const waiters = row === NONE ? undefined : tokens.target(row)
    const known = waiters && controllerOf(waiters)
    const death = this.#deathAt(view, claims, header, this.#now())
    if (death !== undefined) {
      // It lives here and is dead in the view where its turn to be judged has not come.
      if (row !== NONE) this.#die(watched, row, death)
      else this.#count(death)
      if (known !== undefined) return known.signal
      if (this.#observe) return new AbortController().signal
      return AbortSignal.abort(new TokenDeath(death, view.tenant))
    }
    if (known !== undefined) return known.signal
    const controller = new AbortController()
    // All requests of a token share its signal, which is no leak.
    setMaxListeners(0, controller.signal)
    if (!this.#closed) this.#add(watched, text, claims, controller)
    return controller.signal
  }

  watch(view: View, claims: Claims, header: Header | undefined, fn: DeathListener): () => void {
    const watched = this.#watched(view)
    const { tokens } = watched
    const watch = new Watch(tokens, fn)
    const death = this.#deathAt(view, claims, header, this.#now())
    if (death !== undefined) {
      this.#count(death)
      if (!this.#observe) this.#callSoon(watch, new TokenDeath(death, view.tenant))
    } else if (!this.#closed) {
      watch.row = this.#add(watched, tokens.pack(claims, header), claims, watch)
    }
    return watch.end.bind(watch)
  }

  #watched(view: View): Watched {
    let watched = this.#tenants.get(view)
    if (watched === undefined) {
      watched = { view, tokens: new LiveTokens() }
      this.#tenants.set(view, watched)
    }
    return watched
  }

  #add(
    { view, tokens }: Watched,
    text: string,
    claims: Claims,
    waiter: AbortController | Watch,
  ): number {
    const found = tokens.find(text, claims)
    if (found !== NONE) {
      tokens.setTarget(found, withWaiter(tokens.target(found) as Waiters, waiter))
      return found
    }
    const row = tokens.add(text, claims, waiter)
    if (view.ready && (tokens.nextDue ?? Infinity) < this.#timerFor) this.#arm()
    return row
  }

  /** NumericDate, the earliest the store's clock can show; before it is known no time has come. */
  #now(): number {
    return this.#clock.isSet ? this.#clock.earliest(thisMoment()) / 1000 : -Infinity
  }

  /** A view that is not ready yet judges nobody: whatever it knows, it may know in part. */
  #deathAt(view: View, claims: Claims, header: Header | undefined, now: number): Death | undefined {
    return view.ready ? deathOf(claims, header, now, view.rules) : undefined
  }

  /** A rule of this view has changed. */
  changed(view: View, shard: number, rule: Rule): void {
    const watched = this.#tenants.get(view)
    if (watched === undefined || watched.tokens.size === 0 || !view.ready) return
    if (rule.cutoffs === undefined && rule.held !== true) {
      // What was lifted kills nobody, but where an older term still holds something.
      const effect = view.rules.effect(shard, rule.match)
      if (effect === undefined || !isLive(effect)) return
    }
    watched.tokens.queueMatch(rule.match)
    this.#busy.add(watched)
    if (!this.#judgeSome(watched, false)) this.#busy.delete(watched)
    else this.#soon()
    this.#tell()
  }

  /** This view has its first snapshot: everything that waited for it is judged. */
  ready(view: View): void {
    const watched = this.#tenants.get(view)
    if (watched === undefined) return
    watched.tokens.queueAll()
    this.#busy.add(watched)
    this.#runSlice()
  }

  #soon(): void {
    this.#slice ??= setImmediate(() => {
      this.#slice = undefined
      this.#runSlice()
    })
  }

  /** Judges in turn what each tenant has to judge, for a moment; then others get theirs. */
  #runSlice(): void {
    const end = performance.now() + SLICE_MS
    for (const watched of this.#busy) {
      // A tenant that is added again comes last.
      this.#busy.delete(watched)
      if (this.#judgeSome(watched, true)) this.#busy.add(watched)
      if (performance.now() >= end) break
    }
    if (this.#busy.size > 0) this.#soon()
    this.#arm()
    this.#tell()
  }

  /** Judges a few tokens, of a pass over all only where told to. Returns whether there are more. */
  #judgeSome(watched: Watched, passes: boolean): boolean {
    const { view, tokens } = watched
    const now = this.#now()
    for (let count = 0; count < PER_LOOK; count++) {
      let row = tokens.takeQueued()
      if (row === NONE && passes) row = tokens.takePassed()
      if (row === NONE) return tokens.isPassing
      const { claims, header } = tokens.read(row)
      const death = this.#deathAt(view, claims, header, now)
      if (death === undefined) tokens.keep(row, claims)
      else this.#die(watched, row, death)
    }
    return true
  }

  #die({ view, tokens }: Watched, row: number, death: Death): void {
    const waiters = tokens.target(row) as Waiters
    tokens.remove(row)
    this.#count(death)
    // The row may belong to another token before the last listener has been called.
    for (const watch of watchesOf(waiters)) watch.row = NONE
    if (this.#observe) return
    const reason = new TokenDeath(death, view.tenant)
    controllerOf(waiters)?.abort(reason)
    for (const watch of watchesOf(waiters)) this.#call(watch, reason)
  }

  #count({ code }: Death): void {
    this.deaths[code] += 1
    if (this.#observe) this.#observed += 1
  }

  #callSoon(watch: Watch, death: TokenDeath): void {
    queueMicrotask(() => this.#call(watch, death))
  }

  /** A listener's fault must not keep others from hearing. */
  #call(watch: Watch, death: TokenDeath): void {
    try {
      watch.tell(death)
    } catch (error) {
      this.#onFault(error)
    }
  }

  /** Says in `observe` mode what would have ended, not token by token, since there may be very many. */
  #tell(): void {
    if (this.#observed === 0) return
    const tokens = this.#observed
    this.#observed = 0
    this.#log.warn({ tokens }, 'observed: the signals of these tokens would have aborted')
  }

  /** Sets the timer for the next second in which a token may expire. */
  #arm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timerFor = Infinity
    if (!this.#clock.isSet || this.#closed) return
    for (const { view, tokens } of this.#tenants.values()) {
      if (view.ready) this.#timerFor = Math.min(this.#timerFor, tokens.nextDue ?? Infinity)
    }
    if (this.#timerFor === Infinity) return
    const delay = (this.#timerFor - this.#now()) * 1000
    this.#timer = setTimeout(
      () => this.#expire(),
      Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(delay))),
    )
  }

  #expire(): void {
    const now = this.#now()
    for (const watched of this.#tenants.values()) {
      if (!watched.view.ready || (watched.tokens.nextDue ?? Infinity) > now) continue
      watched.tokens.queueDue(now)
      this.#busy.add(watched)
    }
    this.#runSlice()
  }

  /** Forgets everybody: nobody is called and no signal aborts any more. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    if (this.#slice !== undefined) clearImmediate(this.#slice)
    this.#busy.clear()
    for (const { tokens } of this.#tenants.values()) tokens.clear()
  }
}
