import type { Publisher } from '../broker/publisher.ts'
import { MANY_TENANTS, type Ack, type InstanceState } from '../domain/ack.ts'
import { WIRE_VERSION } from '../domain/entry.ts'
import { ackKey, type Names } from '../domain/names.ts'
import { ALL_TENANTS } from '../domain/tenant.ts'
import type { Follower } from './follower.ts'
import type { Presence } from './presence.ts'
import type { PullClient } from './pull-client.ts'
import { thisMoment } from '../process/this-moment.ts'

const MAX_MESSAGE_CHARACTERS = 60_000
const POST_TIMEOUT_MS = 5000
/** How long a closing instance tries to say that it leaves, per way. */
const LEAVE_MS = 1000

/**
 * Says what this instance has applied: soon after each beat, and at once where an entry asks for it.
 * An ack counts as given when RabbitMQ has confirmed and routed it, or a notifier or poller took it over HTTP.
 */
export class Acker {
  readonly #publisher: Publisher
  readonly #client: PullClient
  readonly #presence: Presence
  readonly #followers: ReadonlyMap<string, Follower>
  readonly #names: Names
  readonly #service: string
  readonly #instance: string
  /** RabbitMQ refuses a message that names another user than the one it came from. */
  readonly #user: string
  readonly #onProblem: (error: unknown) => void
  readonly #soon = new Set<string>()
  readonly #now = new Set<string>()
  #soonTimer: NodeJS.Timeout | undefined
  #nowTimer: NodeJS.Immediate | undefined
  #posting = false
  #stopped = false

  constructor(options: {
    publisher: Publisher
    client: PullClient
    presence: Presence
    followers: ReadonlyMap<string, Follower>
    names: Names
    service: string
    instance: string
    user: string
    onProblem: (error: unknown) => void
  }) {
    this.#publisher = options.publisher
    this.#client = options.client
    this.#presence = options.presence
    this.#followers = options.followers
    this.#names = options.names
    this.#service = options.service
    this.#instance = options.instance
    this.#user = options.user
    this.#onProblem = options.onProblem
  }

  /** Acks within `withinMs`, at random, so that a fleet that heard the same beat does not ack at once. */
  soon(tenant: string, withinMs: number): void {
    if (this.#stopped) return
    this.#soon.add(tenant)
    this.#soonTimer ??= setTimeout(() => {
      this.#soonTimer = undefined
      const tenants = [...this.#soon]
      this.#soon.clear()
      void this.#send(tenants)
    }, Math.random() * withinMs)
  }

  /** Acks once what has arrived by now is applied. */
  now(tenant: string): void {
    if (this.#stopped) return
    this.#now.add(tenant)
    this.#nowTimer ??= setImmediate(() => {
      this.#nowTimer = undefined
      const tenants = [...this.#now]
      this.#now.clear()
      for (const each of tenants) this.#soon.delete(each)
      void this.#send(tenants)
    })
  }

  /** What there is to say of a tenant now. */
  ackOf(tenant: string): Ack | undefined {
    return this.#ackOf(tenant, false)[0]
  }

  #ackOf(tenant: string, leaving: boolean): Ack[] {
    const follower = this.#followers.get(tenant)
    if (follower === undefined) return []
    const { view } = follower
    const staleMs = follower.staleMs(thisMoment())
    const isStale = staleMs > (this.#presence.maxStalenessMs ?? Infinity)
    const state: InstanceState = !view.ready ? 'joining' : isStale ? 'stale' : 'ready'
    return [
      {
        v: WIRE_VERSION,
        tenant,
        service: this.#service,
        instance: this.#instance,
        at: view.asOf,
        state: leaving ? 'leaving' : state,
        applied: { revocations: view.ready ? view.revocations.tails(view.shards) : [] },
        staleMs: Number.isFinite(staleMs) ? staleMs : null,
        maxStalenessMs: this.#presence.maxStalenessMs,
      },
    ]
  }

  async #send(tenants: readonly string[], leaving = false): Promise<void> {
    const all = tenants.flatMap((tenant) => this.#ackOf(tenant, leaving))
    const acks = leaving ? all : all.filter(isAwaited)
    const messages =
      acks.length > MANY_TENANTS
        ? inMessages(acks).map((texts) => ({ tenant: ALL_TENANTS, body: `[${texts.join(',')}]` }))
        : acks.map((ack) => ({ tenant: ack.tenant, body: JSON.stringify(ack) }))
    const sent = thisMoment()
    try {
      const results = await Promise.all(messages.map((message) => this.#publish(message)))
      if (results.every((result) => result === 'routed')) return this.#given(acks, sent)
    } catch {
      // Unknown, or no connection: over HTTP then.
    }
    await this.#post(acks)
  }

  #publish({ tenant, body }: { tenant: string; body: string }): Promise<string> {
    return this.#publisher.publish({
      exchange: this.#names.control,
      routingKey: ackKey(tenant, this.#service),
      type: 'knell.ack',
      body,
      transient: true,
      userId: this.#user,
    })
  }

  #given(acks: readonly Ack[], sent: { mono: number; wall: number }): void {
    for (const { tenant } of acks) this.#presence.of(tenant).acked(sent)
  }

  /** One call at a time: where HTTP is slow the next beat's ack says more than this one. */
  async #post(acks: readonly Ack[]): Promise<void> {
    if (this.#posting || acks.length === 0) return
    this.#posting = true
    const sent = thisMoment()
    try {
      await this.#client.json({
        method: 'POST',
        path: '/v1/acks',
        body: JSON.stringify(acks),
        signal: AbortSignal.timeout(this.#stopped ? LEAVE_MS : POST_TIMEOUT_MS),
      })
      this.#given(acks, sent)
    } catch (error) {
      this.#onProblem(error)
    } finally {
      this.#posting = false
    }
  }

  /** Says that this instance leaves, if that is possible soon. */
  async leave(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#soonTimer)
    clearImmediate(this.#nowTimer)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, 2 * LEAVE_MS)
    })
    await Promise.race([late, this.#send([...this.#followers.keys()], true)])
    clearTimeout(timer)
  }
}

/**
 * Nobody waits for a view that is not ready and lets nobody in. Its first word is a pull, then, which
 * says whose key it has: a key that comes after a RabbitMQ user proves nothing.
 */
function isAwaited({ state, maxStalenessMs }: Ack): boolean {
  return state !== 'joining' || maxStalenessMs === null
}

function inMessages(acks: readonly Ack[]): string[][] {
  const messages: string[][] = []
  let size = Infinity
  for (const ack of acks) {
    const text = JSON.stringify(ack)
    if (size + text.length > MAX_MESSAGE_CHARACTERS) {
      messages.push([])
      size = 0
    }
    messages.at(-1)?.push(text)
    size += text.length + 1
  }
  return messages
}
