import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import process from 'node:process'
import type { Claims, Header } from '../domain/claims.ts'
import type { Decision, DecisionCode } from '../domain/decision.ts'
import type { Entry, ExpiryEvent, Kind } from '../domain/entry.ts'
import { isKnellError, KnellError, toKnellError } from '../domain/errors.ts'
import { namesOf } from '../domain/names.ts'
import { logs } from '../domain/position.ts'
import type { Reason } from '../domain/reasons.ts'
import { wholeCutoff, type Rule } from '../domain/rule.ts'
import { StoreClock } from '../domain/store-clock.ts'
import { readUnverified } from '../tokens/read-unverified.ts'
import type { View } from '../domain/view.ts'
import { Broker } from '../broker/broker.ts'
import { Publisher } from '../broker/publisher.ts'
import { Acker } from './acker.ts'
import { inApplySpan } from './apply-span.ts'
import { Asker } from './asker.ts'
import { Checker } from './checker.ts'
import type {
  EventSource,
  Freshness,
  SubscriberEvents,
  SubscriberStats,
  VerifyResult,
} from './events.ts'
import { Follower } from './follower.ts'
import { texts } from './gate.ts'
import { Issuers } from './issuers.ts'
import { SILENT, type Settled } from './options.ts'
import { problemsOfPolicy, type Policy, type PolicyOptions } from './policy.ts'
import { createAckPoster } from './handlers/ack-poster.ts'
import type { Handlers } from './handlers/handlers.ts'
import {
  problemsOfReplay,
  type Handler,
  type HandleOptions,
  type Handling,
  type ReplayOptions,
} from './handlers/options.ts'
import type { ReplayCounts } from './handlers/replay.ts'
import { Presence } from './presence.ts'
import { PullClient } from './pull-client.ts'
import { Push } from './push.ts'
import { refusal, Refusals, whyOf } from './refusals.ts'
import { TokenWatches } from './token-watches.ts'
import type { DeathListener } from './waiters.ts'
import { Watchdog } from './watchdog.ts'
import { thisMoment } from '../process/this-moment.ts'

/** Which tenant a token belongs to. */
export interface TokenOptions {
  /** Needed only where several tenants are followed and `verify` does not tell them apart by `iss`. */
  readonly tenant?: string
}

/** How one check differs from what `connect` was told. */
export interface CheckOptions extends PolicyOptions, TokenOptions {}

const MAX_LONG_POLL_MS = 20_000
/** A pull without waiting is made at least this often, whatever else goes on: it renews the clock's offset. */
const MAX_RENEW_MS = 30_000

/** A service instance's local memory of what has died, kept up to date by push and pull. Made by `connect`. */
export class Subscriber extends EventEmitter<SubscriberEvents> {
  /** Random per connect: how this instance is known to the store. */
  readonly instance: string = randomBytes(9).toString('base64url')
  readonly #settings: Settled
  readonly #clock = new StoreClock()
  readonly #followers = new Map<string, Follower>()
  readonly #only: Follower | undefined
  readonly #issuers: Issuers
  readonly #client: PullClient
  readonly #push: Push
  readonly #presence: Presence
  readonly #checker: Checker
  readonly #asker: Asker
  /** What is published goes by a connection of its own: RabbitMQ may block those that publish. */
  readonly #control: Broker
  readonly #acker: Acker
  readonly #watches: TokenWatches
  readonly #watchdog: Watchdog
  readonly #refusals = new Refusals((error, count) => {
    this.#settings.log.warn({ code: error.code, count }, error.message)
    this.emit('problem', error)
  })
  readonly #counts = { pushed: 0, pulled: 0, pulls: 0, snapshots: 0, invalid: 0, trimmed: 0 }
  /** Its own, so that a call that one process does not serve does not turn the others' pulls away from it. */
  readonly #ackClient: PullClient
  /** There from the first call of `handle` on: whoever handles nothing does not load it. */
  #handlers: Promise<Handlers> | undefined
  #closing: Promise<void> | undefined
  /** Aborts with `shutting_down` when this is closed. */
  readonly #over = new AbortController()
  /** The codes of what was warned of. */
  readonly #warned = new Set<string>()
  #followsExpiries = false
  #keysAsked: Promise<void> | undefined

  constructor(settings: Settled) {
    super()
    this.#settings = settings
    this.#client = new PullClient(settings.pull, settings.apiKey, settings.tls.pull)
    const { service, tenants, observe, log } = settings
    const names = namesOf(settings.namespace)
    this.#presence = new Presence(settings.policy, observe)
    this.#checker = new Checker({ clock: this.#clock, observe, log })
    this.#asker = new Asker(this.#client, settings.verifier, (error) => this.#problem(error))
    this.#watches = new TokenWatches({
      clock: this.#clock,
      observe,
      log,
      onFault: (cause) =>
        this.#problem(new KnellError('internal', 'A listener for a death threw.', { cause })),
    })
    this.#issuers = new Issuers(settings.verify, {
      // In observe mode no rule refuses anything, so none takes a key away.
      isRevoked: (tenant, kid) => !observe && this.#revokedKey(tenant, kid) !== undefined,
      onProblem: (error) => this.#problem(error),
    })
    this.#push = new Push({
      url: settings.amqp,
      tls: settings.tls.amqp,
      service,
      names,
      tenants,
      verifier: settings.verifier,
      events: {
        onUp: () => this.#pushChanged('up'),
        onDown: () => this.#pushChanged('down'),
        onEntry: (entry, trace) => {
          this.#counts.pushed += 1
          const follower = this.#followed(entry.tenant)
          if (follower === undefined) return
          inApplySpan(names[entry.log], entry, trace, () => follower.onEntry(entry))
        },
        onBeat: (beat) => this.#followed(beat.tenant)?.onBeat(beat),
        onRefused: (error) => this.#refusals.refuse(error),
        onInvalid: (error) => this.#invalid(1, error),
        onProblem: (error) => this.#problem(error),
      },
    })
    this.#control = new Broker(
      settings.amqp,
      `knell subscriber ${service} control`,
      settings.tls.amqp,
    )
    this.#control.on('problem', (error) => this.#problem(error))
    this.#acker = new Acker({
      publisher: new Publisher(this.#control),
      client: this.#client,
      presence: this.#presence,
      followers: this.#followers,
      names,
      service,
      instance: this.instance,
      user: userOf(settings.amqp),
      onProblem: (error) => this.#problem(error),
    })
    this.#ackClient = new PullClient(settings.pull, settings.apiKey, settings.tls.pull)
    for (const tenant of tenants) this.#followers.set(tenant, this.#createFollower(tenant))
    const [only] = this.#followers.values()
    this.#only = tenants.length === 1 ? only : undefined
    this.#watchdog = new Watchdog({
      followers: this.#followers,
      push: this.#push,
      clock: this.#clock,
      maxStaleness: settings.policy.maxStaleness,
      onStale: (tenant, staleMs) => {
        log.warn({ tenant, staleMs }, 'the view is stale')
        this.emit('stale', tenant, staleMs)
      },
      onFresh: (tenant) => void this.emit('fresh', tenant),
    })
    // The first listener for expiries makes this instance follow them, from then on.
    ;(this as unknown as EventEmitter).on('newListener', (event: string) => {
      if (event === 'expired' || event === 'expiring') this.#followExpiries()
    })
  }

  #createFollower(tenant: string): Follower {
    const { service, policy } = this.#settings
    return new Follower({
      tenant,
      client: this.#client,
      clock: this.#clock,
      service,
      instance: this.instance,
      presence: this.#presence,
      verifier: this.#settings.verifier,
      isPushed: () => this.#push.isUp,
      longPollMs: Math.round(Math.min(MAX_LONG_POLL_MS, policy.maxStaleness / 3)),
      renewMs: Math.round(Math.min(MAX_RENEW_MS, policy.maxStaleness / 3)),
      events: {
        onApplied: (entry, { rules, expiries }, via) => {
          this.#announce(entry, rules, expiries)
          if (via === 'entry') this.#tellApplied(entry)
        },
        onBeat: (beatMs) => this.#acker.soon(tenant, beatMs / 4),
        onAsked: () => this.#acker.now(tenant),
        onReady: () => {
          this.#acker.now(tenant)
          const view = this.#followers.get(tenant)?.view
          if (view !== undefined) this.#watches.ready(view)
          this.#settings.log.info({ tenant }, 'the view is ready')
          this.emit('ready', tenant)
        },
        onPull: (what, count) => {
          if (what === 'snapshot') this.#counts.snapshots += 1
          else {
            this.#counts.pulls += 1
            this.#counts.pulled += count
          }
        },
        onInvalid: (count) => this.#invalid(count, undefined),
        onReplayed: (error) => {
          if (error === undefined) this.#refusals.count('replayed')
          else this.#refusals.refuse(error)
        },
        onTrimmed: (log) => {
          this.#counts.trimmed += 1
          this.#settings.log.warn({ tenant, log }, 'the feed was trimmed past this instance')
        },
        onProblem: (error) => {
          this.#warn(error)
          this.#problem(error)
        },
      },
    })
  }

  /** The follower of a pushed message's tenant. One that is not followed can come only from a stranger. */
  #followed(tenant: string): Follower | undefined {
    const follower = this.#followers.get(tenant)
    if (follower !== undefined) return follower
    this.#refusals.refuse(refusal('foreign', `A message of the tenant ${tenant} was pushed.`))
    return undefined
  }

  /** What a handler's message claims is believed where its signature is good, or no keys are pinned. @throws KnellError `event_*` */
  #assertSigned(body: string, signature: string | undefined, kind: 'entry' | 'partial'): void {
    const verdict = this.#settings.verifier?.verify(kind, Buffer.from(body), signature) ?? 'good'
    if (verdict === 'good') return
    const why = verdict === 'unsigned' ? 'unsigned' : 'altered'
    const error = refusal(why, `A message for a handler is refused: ${texts[verdict]}.`)
    this.#refusals.refuse(error)
    throw error
  }

  /** Begins to follow; `connect` calls it. Returns once the background parts run, not once the view is ready. */
  async start(): Promise<void> {
    for (const follower of this.#followers.values()) follower.start()
    this.#watchdog.start()
    this.#keysAsked = this.#issuers.start()
    await Promise.all([this.#push.start(), this.#control.start()])
  }

  /** Resolves once every provider that publishes keys has been asked for them, whatever became of it: at most 5 s after `start`. */
  async keysAsked(): Promise<void> {
    await this.#keysAsked
  }

  /** Whether there are keys to verify the tokens of every tenant that has an issuer. */
  get hasKeys(): boolean {
    return this.#issuers.hasKeys
  }

  /** Whether every tenant's view has its first snapshot. */
  get isReady(): boolean {
    for (const { view } of this.#followers.values()) if (!view.ready) return false
    return true
  }

  /**
   * Resolves when every tenant's view has its first snapshot; rejects with the reason of `signal`
   * where that comes first.
   * @throws KnellError `shutting_down` once this is closed
   */
  ready(signal?: AbortSignal): Promise<void> {
    const end =
      signal === undefined ? this.#over.signal : AbortSignal.any([signal, this.#over.signal])
    return new Promise((resolve, reject) => {
      const onReady = (): void => {
        if (!this.isReady) return
        this.off('ready', onReady)
        end.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = (): void => {
        this.off('ready', onReady)
        reject(end.reason instanceof Error ? end.reason : new Error('Not ready in time.'))
      }
      if (end.aborted) return onAbort()
      this.on('ready', onReady)
      end.addEventListener('abort', onAbort)
      onReady()
    })
  }

  /**
   * Decides from memory, with no network call, whether a token whose signature has been verified
   * may be let in. Never throws for a token.
   * @param claims the verified payload (RFC 7519, section 4)
   * @param header the verified JOSE header; needed while a live rule names `kid`
   * @param options a policy for this call, or the tenant
   * @throws TypeError for an unusable policy
   */
  check(claims: Claims, header?: Header, options?: CheckOptions): Decision {
    if (typeof claims !== 'object' || claims === null) {
      // What a decoder gives for junk.
      return this.#checker.invalidToken('token_claims_invalid')
    }
    const follower = this.#followerOf(claims, options?.tenant)
    if (follower === undefined) {
      return this.#checker.refuse({ code: 'unknown_issuer' }, 0, Infinity, 'policy')
    }
    const policy = options === undefined ? this.#settings.policy : this.policy(options)
    const admitted = follower.presence.admitted(policy)
    return this.#checker.decide(follower, claims, header, admitted, thisMoment())
  }

  /**
   * A whole policy: what the options leave out is as `connect` was told. It counts as in use from
   * now on: a laxer one than `connect` was told holds once a pull has told the store so.
   * @throws TypeError
   */
  policy(options: PolicyOptions): Policy {
    const { maxStaleness, whenStale } = options
    if (maxStaleness === undefined && whenStale === undefined) return this.#settings.policy
    const problems = problemsOfPolicy(options)
    if (problems.length > 0) throw new TypeError(`${problems.join('; ')}.`)
    const { policy } = this.#settings
    const whole = {
      maxStaleness: maxStaleness ?? policy.maxStaleness,
      whenStale: whenStale ?? policy.whenStale,
    }
    this.#presence.want(whole)
    return whole
  }

  /** The follower of the tenant that is named, else of the one that the token's issuer has. */
  #followerOf(claims: Claims, named: string | undefined): Follower | undefined {
    if (named === undefined && this.#only !== undefined) return this.#only
    const tenant = named ?? this.#issuers.tenantOf(claims['iss'])
    return tenant === undefined ? undefined : this.#followers.get(tenant)
  }

  /**
   * As `check`, but where the view is stale or not ready and the policy is `ask`, the store itself
   * decides (`decidedBy: 'store'`); where it does not answer within 2 s, the refusal stands.
   */
  async decide(claims: Claims, header?: Header, options?: CheckOptions): Promise<Decision> {
    const decision = this.check(claims, header, options)
    return this.#isOpen(decision, options) ? this.#ask(decision, claims, header, options) : decision
  }

  /** Whether the store is to decide what the view cannot. */
  #isOpen({ code }: Decision, options: CheckOptions | undefined): boolean {
    if (code !== 'stale' && code !== 'not_ready') return false
    return this.policy(options ?? {}).whenStale === 'ask'
  }

  async #ask(
    decision: Decision,
    claims: Claims,
    header: Header | undefined,
    options: CheckOptions | undefined,
  ): Promise<Decision> {
    const tenant = this.#followerOf(claims, options?.tenant)?.tenant
    if (tenant === undefined) return decision
    const asked = await this.#asker.ask(claims, header, tenant)
    if (asked === undefined || asked.active || !this.#settings.observe) return asked ?? decision
    return { ...asked, active: true, observed: true }
  }

  /**
   * Verifies a token under the rules of RFC 8725 and decides on it as `decide` does. Never throws
   * for a bad token: its `code` says what is wrong. A token whose key is not among those that its
   * provider publishes (`jwksUri`) waits for them to be fetched anew, once within the cool-down.
   * @throws TypeError where no `verify` options were given
   */
  async verify(token: string, options?: CheckOptions): Promise<VerifyResult> {
    let verified
    try {
      const now = this.#clock.isSet ? this.#clock.earliest(thisMoment()) : Date.now()
      const read = this.#issuers.read(token, options?.tenant, now)
      verified = read instanceof Promise ? await read : read
      if (verified === undefined) return this.#checker.invalidToken('unknown_issuer')
    } catch (error) {
      if (!isKnellError(error)) throw error
      return this.#unverified(error, token, options?.tenant)
    }
    const { claims, header, tenant } = verified
    const call = options === undefined ? { tenant } : { ...options, tenant }
    let decision = this.check(claims, header, call)
    if (this.#isOpen(decision, call)) decision = await this.#ask(decision, claims, header, call)
    // Written out for nearly every token: spreading costs more than the check itself.
    const { active, code, asOf, staleMs, decidedBy } = decision
    if (code === 'active') {
      return { active, code, asOf, staleMs, decidedBy, claims, header, tenant }
    }
    return { ...decision, claims, header, tenant }
  }

  /** What is answered for a token that could not be verified. */
  #unverified(error: KnellError, token: string, named: string | undefined): Decision {
    if (error.code === 'keys_unavailable') return this.#checker.invalidToken('not_ready')
    if (error.code === 'token_unknown_key' && !this.#settings.observe) {
      const tenant = this.#issuers.nameFor(token, named) ?? ''
      const { kid } = readUnverified(token).header
      const cutoff = typeof kid === 'string' ? this.#revokedKey(tenant, kid) : undefined
      const follower = this.#followers.get(tenant)
      if (cutoff !== undefined && follower !== undefined) {
        const { reason = 'other' } = cutoff
        const staleMs = follower.staleMs(thisMoment())
        return this.#checker.refuse(
          { code: 'revoked', reason },
          follower.view.asOf,
          staleMs,
          'view',
        )
      }
    }
    return this.#checker.invalidToken(error.code as DecisionCode)
  }

  /** What says that everything this key of a tenant has signed, and will sign, is dead. */
  #revokedKey(tenant: string, kid: string): { readonly reason?: Reason } | undefined {
    return wholeCutoff(this.#followers.get(tenant)?.view.rules.effect(0, { kid })?.cutoffs ?? [])
  }

  /**
   * A signal that aborts when this token dies: it is revoked or held, or its `exp` has passed by the
   * store's clock (never early). Its `reason` is a `TokenDeath`. It has aborted already where the
   * token is dead now; where the view is not ready yet, that shows when it is. Equal claims (with an
   * equal `kid`) have one signal, so that all requests of a token share it. It is kept until the
   * token dies, so a token without `exp` costs memory until the end; `watch` can be undone.
   *
   * A stale view aborts nothing; that a hold is released, or a revocation restored, brings no
   * aborted signal back; in `observe` mode no signal aborts, the death is only counted and logged.
   * After `close()` none aborts any more.
   * @param claims the verified payload of the token; what of it a rule can name is copied
   * @param header the verified header; without it no rule that names `kid` ends the token
   * @throws TypeError where the tenant is not followed
   */
  signal(claims: Claims, header?: Header, options?: TokenOptions): AbortSignal {
    return this.#watches.signal(this.#viewOf(claims, options), claims, header)
  }

  /**
   * Calls `fn` once when this token dies, under the rules of `signal`, at a fraction of its memory.
   * For a token that is dead now it is called in a moment, never before this returns. What `fn`
   * throws becomes a `problem`.
   * @returns undoes it: `fn` is not called any more, and nothing is kept. Twice is fine.
   * @throws TypeError where the tenant is not followed
   */
  watch(claims: Claims, fn: DeathListener, header?: Header, options?: TokenOptions): () => void {
    return this.#watches.watch(this.#viewOf(claims, options), claims, header, fn)
  }

  #viewOf(claims: Claims, options: TokenOptions | undefined): View {
    if (typeof claims !== 'object' || claims === null) {
      throw new TypeError('The claims of a token are an object.')
    }
    const tenant = options?.tenant
    const follower = this.#followerOf(claims, tenant)
    if (follower !== undefined) return follower.view
    throw new TypeError(
      tenant === undefined
        ? 'The iss of the token belongs to no tenant that is followed; name its tenant.'
        : `The tenant ${tenant} is not followed.`,
    )
  }

  /**
   * Handles events durably, on a queue that the instances of the service share: each event is
   * handled by one of them, at least once. One that fails is tried again with back-off, and given up
   * to the dead letters after `maxAttempts`. Resolves when this instance consumes and the store knows
   * of the service; events from then on are not lost. May be called again for other kinds.
   * @throws TypeError for a kind that has a handler already, and for unusable options
   * @throws KnellError `broker_topology` where the queue exists with other arguments or the user may not use it; `shutting_down`
   */
  async handle<K extends Kind>(
    kinds: readonly K[],
    fn: Handler<K>,
    options?: HandleOptions,
  ): Promise<Handling> {
    this.#over.signal.throwIfAborted()
    this.#handlers ??= this.#loadHandlers()
    const handlers = await this.#handlers
    this.#over.signal.throwIfAborted()
    return handlers.handle(kinds, fn as Parameters<Handlers['handle']>[1], options)
  }

  async #loadHandlers(): Promise<Handlers> {
    const { Handlers } = await import('./handlers/handlers.ts')
    const { amqp, namespace, service, tenants, tls } = this.#settings
    return new Handlers({
      amqp,
      tls: tls.amqp,
      service,
      names: namesOf(namespace),
      tenants,
      report: createAckPoster(this.#ackClient, (tenant) => this.#acker.ackOf(tenant)),
      checkBody: (body, signature, kind) => this.#assertSigned(body, signature, kind),
      onProblem: (error) => this.#problem(error),
      onRan: (kind, ms) => this.#tell('ran', kind, ms),
      onSettled: (counts) => this.#tell('settled', counts),
    })
  }

  /**
   * Runs the handlers of this instance again, from a time or from positions in the feed; what fails
   * goes the way of every failed event. Entries of kinds without a handler here are passed over.
   * @throws TypeError without a handler, without a tenant where several are followed, or that lists everything wrong with the options
   * @throws KnellError `shutting_down`; `feed_trimmed` where the feed no longer reaches back so far; `pull_failed`
   */
  async replay(options: ReplayOptions): Promise<ReplayCounts> {
    this.#over.signal.throwIfAborted()
    const problems = problemsOfReplay(options)
    if (problems.length > 0) throw new TypeError(`replay: ${problems.join('; ')}.`)
    const { tenants } = this.#settings
    const tenant = options.tenant ?? (tenants.length === 1 ? tenants[0] : undefined)
    if (tenant === undefined || !tenants.includes(tenant)) {
      throw new TypeError('replay: name one of the tenants that are followed.')
    }
    const handlers = await this.#handlers
    if (handlers === undefined || handlers.kinds.length === 0) {
      throw new TypeError('replay: there is no handler.')
    }
    const { replay } = await import('./handlers/replay.ts')
    return replay(
      { ...options, tenant },
      { client: this.#client, rules: handlers.rules, run: (batch) => handlers.runAgain(batch) },
    )
  }

  /**
   * How fresh a tenant's view is: the store time (ms) it provably contains, its age (ms), and for how
   * long (ms; null: until it leaves) the store waits for this instance to apply a revocation. A
   * policy that is laxer than that holds only once the store knows of it.
   */
  freshness(tenant: string = this.#settings.tenants[0] ?? ''): Freshness {
    const follower = this.#followers.get(tenant)
    const awaitedMs = this.#presence.of(tenant).told
    if (follower === undefined) return { asOf: 0, staleMs: Infinity, awaitedMs }
    return { asOf: follower.view.asOf, staleMs: follower.staleMs(thisMoment()), awaitedMs }
  }

  get stats(): SubscriberStats {
    let rules = 0
    let packedBytes = 0
    const positions = { revocations: 0, expiries: 0 }
    for (const { view } of this.#followers.values()) {
      rules += view.rules.size
      packedBytes += view.rules.packedBytes
      for (const log of logs) for (const { seq } of view.positions(log)) positions[log] += seq
    }
    return {
      instance: this.instance,
      push: this.#push.isUp ? 'up' : 'down',
      checks: this.#checker.counts,
      ...this.#counts,
      refused: { ...this.#refusals.counts },
      rules,
      positions,
      packedBytes,
      watched: this.#watches.size,
      deaths: { ...this.#watches.deaths },
    }
  }

  /** The name of the service. */
  get service(): string {
    return this.#settings.service
  }

  get tenants(): readonly string[] {
    return this.#settings.tenants
  }

  /** Costs nothing where nobody listens. */
  #tellApplied({ tenant, log, kind, shard, epoch, seq, at }: Entry): void {
    if (log !== 'revocations' || this.listenerCount('applied') === 0 || !this.#clock.isSet) return
    const source = { tenant, kind, shard, epoch, seq, at }
    this.#tell('applied', source, Math.max(0, this.#clock.estimate(thisMoment()) - at))
  }

  /** A listener's fault must not stop what told it. */
  #tell(event: 'applied' | 'ran' | 'settled', ...args: unknown[]): void {
    try {
      ;(this as unknown as EventEmitter).emit(event, ...args)
    } catch (cause) {
      this.#problem(new KnellError('internal', `A listener for ${event} threw.`, { cause }))
    }
  }

  #announce(entry: Entry, rules: readonly Rule[], expiries: readonly ExpiryEvent[]): void {
    const { tenant, kind, shard, epoch, seq, at } = entry
    const source = { tenant, kind, shard, epoch, seq, at }
    const view = this.#followers.get(tenant)?.view
    if (view !== undefined) for (const rule of rules) this.#watches.changed(view, shard, rule)
    for (const event of entry.log === 'expiries' ? expiries : rules) {
      try {
        this.#emitEvent(kind, event, source)
      } catch (error) {
        // A listener's fault must not stop the view.
        this.#problem(new KnellError('internal', `A listener for ${kind} threw.`, { cause: error }))
      }
    }
  }

  /** Kind and event belong together, which the types cannot see across the two logs. */
  #emitEvent(kind: Kind, event: unknown, source: EventSource): void {
    ;(this as unknown as EventEmitter).emit(kind, event, source)
  }

  #followExpiries(): void {
    if (this.#followsExpiries) return
    this.#followsExpiries = true
    for (const follower of this.#followers.values()) follower.followExpiries()
    this.#push.followExpiries().catch((error: unknown) => this.#problem(error))
  }

  #pushChanged(state: 'up' | 'down'): void {
    this.#settings.log.info({ push: state }, `the push path is ${state}`)
    for (const follower of this.#followers.values()) follower.pushChanged()
    this.emit('push', state)
  }

  #invalid(count: number, error: unknown): void {
    this.#counts.invalid += count
    this.#settings.log.warn({ count, err: error }, 'a message that follows no contract was dropped')
    const known = isKnellError(error)
      ? error
      : new KnellError('message_invalid', 'An entry of the feed does not follow the wire contract.')
    this.emit('problem', known)
  }

  #problem(error: unknown): void {
    const known = toKnellError(error, 'pull_failed')
    const why = whyOf(known)
    if (why !== undefined) this.#refusals.count(why)
    // Until the view is ready nobody may listen yet, so the log is the one to say why it is not.
    const level = why === undefined && this.isReady ? 'debug' : 'warn'
    this.#settings.log[level]({ code: known.code, err: known }, known.message)
    this.emit('problem', known)
  }

  /** Who waits for `connect` with no log would never learn what it waits for. Tells of each code once. */
  #warn(error: unknown): void {
    if (this.isReady) return
    const { code, message } = toKnellError(error, 'pull_failed')
    const isHeard = this.#settings.log !== SILENT || this.listenerCount('problem') > 0
    if (isHeard || this.#warned.has(code)) return
    this.#warned.add(code)
    process.emitWarning(`The view is not ready yet: ${message}`, { type: 'KnellWarning', code })
  }

  /**
   * Says that this instance leaves, stops following and lets go of every connection. From then on
   * nobody waits for it, so a check lets no token in but where the policy is `allow`. Twice is fine.
   */
  close(): Promise<void> {
    this.#over.abort(new KnellError('shutting_down', 'The subscriber is closed.'))
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#watchdog.stop()
    this.#issuers.stop()
    const handlers = await this.#handlers
    await handlers?.close()
    this.#ackClient.close()
    this.#watches.close()
    this.#presence.leave()
    const stopped = [...this.#followers.values()].map((follower) => follower.stop())
    await Promise.all([...stopped, this.#acker.leave()])
    await Promise.all([this.#push.close(), this.#control.close()])
    this.#client.close()
  }
}

/** The user as RabbitMQ knows it. */
function userOf(amqp: string): string {
  return decodeURIComponent(new URL(amqp).username) || 'guest'
}
