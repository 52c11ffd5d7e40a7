import type { Logger } from 'pino'
import type { Broker } from '../shared/broker/broker.ts'
import { Publisher, type Sent } from '../shared/broker/publisher.ts'
import { QueueProbe } from '../shared/broker/queue-probe.ts'
import { kindIn } from '../shared/domain/entry.ts'
import { serviceNamesOf, type Names } from '../shared/domain/names.ts'
import { formatPlace, formatPosition, logs } from '../shared/domain/position.ts'
import { deadLettersOf, resendOf } from '../shared/domain/resend.ts'
import { type HandlerStore, type ShardState } from '../shared/store/handler-store.ts'
import type { EventSigner } from '../shared/signing/event-signer.ts'
import type { Evidence, Hole, HoleStore, Outcome, Place } from '../shared/store/hole-store.ts'
import { logsIn, type ServiceRecord } from '../shared/store/service-record.ts'
import type { Store } from '../shared/store/store.ts'
import { inPublishSpan } from '../shared/tracing/publish-span.ts'

/** What one pass did about entries that services never handled. */
export interface RepairReport {
  /** Entries sent again, to one service each. */
  readonly resentEntries: number
  /** Entries, or dead letters of one, that no queue was bound for; they are tried again. */
  readonly unroutableEntries: number
  /** Entries that were dead-lettered after all tries. */
  readonly closedEntries: number
  /** Entries that had gone from the feed before they were handled. */
  readonly lostEntries: number
  /** Entries known to be open at the beginning of the pass. */
  readonly openEntries: number
}

type Tally = { -readonly [K in keyof RepairReport]: number }

/** What the repair does to one service in one pass. */
interface Job {
  readonly tenant: string
  readonly record: ServiceRecord
  readonly evidence: Evidence
  readonly isLiving: boolean
  readonly at: number
  readonly tally: Tally
}

const CLAIM = 50
/** The most holes of one log and shard that a pass sends again for a service. */
const MAX_CLAIMED = 1000
/** The most calls that a pass makes to judge one log of a shard for a service. */
const MAX_SCANS = 200
/** A pass ends after this long; the next one goes on. */
const PASS_MS = 10_000

/** Sends services what they never handled, through `knell.retry`, and gives up what they never will. */
export class HandlerRepair {
  readonly #store: Store
  readonly #handlers: HandlerStore
  readonly #holes: HoleStore
  readonly #names: Names
  readonly #tenants: readonly string[]
  readonly #livingOf: (tenant: string) => Promise<ReadonlySet<string>>
  readonly #signer: EventSigner | undefined
  readonly #log: Logger
  readonly #publisher: Publisher
  readonly #probe: QueueProbe
  #deadline = 0

  /** `livingOf`: the services of which an instance lives. To be created before the broker starts. */
  constructor(options: {
    store: Store
    handlers: HandlerStore
    holes: HoleStore
    broker: Broker
    names: Names
    tenants: readonly string[]
    livingOf: (tenant: string) => Promise<ReadonlySet<string>>
    signer?: EventSigner | undefined
    log: Logger
  }) {
    this.#store = options.store
    this.#handlers = options.handlers
    this.#holes = options.holes
    this.#names = options.names
    this.#tenants = options.tenants
    this.#livingOf = options.livingOf
    this.#signer = options.signer
    this.#log = options.log
    this.#publisher = new Publisher(options.broker)
    this.#probe = new QueueProbe(options.broker)
  }

  /** One pass over all services of all tenants. Never fails: a tenant whose services cannot be repaired is logged. */
  async runOnce(): Promise<RepairReport> {
    this.#deadline = performance.now() + PASS_MS
    const tally: Tally = {
      resentEntries: 0,
      unroutableEntries: 0,
      closedEntries: 0,
      lostEntries: 0,
      openEntries: 0,
    }
    // Another tenant comes first each time, so that a pass that runs out of time is nobody's fate.
    const first = Math.floor(Math.random() * this.#tenants.length)
    const tenants = [...this.#tenants.slice(first), ...this.#tenants.slice(0, first)]
    for (const tenant of tenants) {
      if (!this.#hasTime) break
      try {
        await this.#repairTenant(tenant, tally)
      } catch (error) {
        // What one tenant's services have come to must not end the sweep of the others.
        this.#log.warn({ err: error, tenant }, 'the handlers of a tenant could not be repaired')
      }
    }
    return tally
  }

  async #repairTenant(tenant: string, tally: Tally): Promise<void> {
    const all = await this.#handlers.list(tenant)
    const records: ServiceRecord[] = []
    for (const record of all) {
      // What a process began and did not finish.
      if (record.removed === true) {
        await this.#handlers.remove(tenant, record.service)
        continue
      }
      await this.#handlers.sync(tenant, record)
      records.push(record)
    }
    if (records.length === 0) return
    const states: ShardState[] = []
    for (let shard = 0; shard < this.#store.shards; shard++) {
      states.push(await this.#handlers.state(tenant, shard, records))
    }
    const at = states[0]?.at ?? 0
    let living: ReadonlySet<string> | undefined
    for (const [index, record] of records.entries()) {
      const places = this.#placesWithWork(tenant, record, states, index)
      for (const { services } of states) {
        for (const log of logs) tally.openEntries += services[index]?.[log].holes ?? 0
      }
      if (places.length === 0) continue
      living ??= await this.#livingOf(tenant)
      const isLiving = living.has(record.service)
      const doneAt = Math.max(
        ...states.flatMap(({ services }) => logs.map((log) => services[index]?.[log].doneAt ?? 0)),
      )
      const queue = serviceNamesOf(this.#names, record.service).queue
      const empty = isLiving && (await this.#probe.waiting(queue)) === 0
      const job = { tenant, record, evidence: { empty, doneAt }, isLiving, at, tally }
      for (const place of places) await this.#repairPlace(job, place)
    }
  }

  /** Where a service has something after its mark or a hole that is due. */
  #placesWithWork(
    tenant: string,
    record: ServiceRecord,
    states: readonly ShardState[],
    index: number,
  ): Place[] {
    const followed = logsIn(record)
    return states.flatMap(({ at, tails, services }, shard) =>
      followed.flatMap((log) => {
        const state = services[index]?.[log]
        if (state === undefined) return []
        const isDue = state.nextDue !== undefined && state.nextDue <= at
        return isDue || state.id !== record.id || state.mark !== tails[log]
          ? [{ tenant, shard, log, record }]
          : []
      }),
    )
  }

  async #repairPlace(job: Job, place: Place): Promise<void> {
    const { tally, evidence } = job
    let lost = 0
    for (let i = 0; i < MAX_SCANS && this.#hasTime; i++) {
      const done = await this.#holes.scan(place, evidence)
      lost += done.lost
      tally.openEntries += done.opened
      if (done.word === 'gone') await this.#restore(place)
      if (done.word !== 'more') break
    }
    for (let left = MAX_CLAIMED; job.isLiving && left > 0 && this.#mayPublish;) {
      const claimed = await this.#holes.claim(place, evidence, Math.min(CLAIM, left))
      lost += claimed.lost
      left -= claimed.looked
      await this.#treat(job, place, claimed.holes)
      if (claimed.looked === 0) break
    }
    if (lost === 0) return
    tally.lostEntries += lost
    const { tenant, log, shard, record } = place
    this.#log.error(
      { tenant, service: record.service, log, shard, lost },
      'entries left the feed before a service reported them handled; the sweep cannot send them again',
    )
  }

  get #hasTime(): boolean {
    return performance.now() < this.#deadline
  }

  get #mayPublish(): boolean {
    return this.#hasTime && this.#publisher.isOpen
  }

  /** A shard without marks of this registration has lost them, unless the service was registered anew meanwhile. */
  async #restore({ tenant, shard, record }: Place): Promise<void> {
    const now = await this.#handlers.list(tenant)
    const same = now.some(({ id, removed }) => id === record.id && removed !== true)
    if (same) await this.#handlers.resync(tenant, shard, record)
  }

  /** Sends holes again, or gives them up, and says in the store what became of each. */
  async #treat(job: Job, place: Place, holes: readonly Hole[]): Promise<void> {
    const outcomes: { hole: Hole; outcome: Outcome }[] = []
    const add = (hole: Hole, outcome: Outcome | undefined): void => {
      if (outcome === undefined) return
      outcomes.push({ hole, outcome })
      if (outcome === 'sent') job.tally.resentEntries += 1
      if (outcome === 'unroutable') job.tally.unroutableEntries += 1
    }
    const isSpent = ({ tries }: Hole): boolean => tries >= job.record.attempts
    await Promise.all(
      holes
        .filter((hole) => !isSpent(hole))
        .map(async (hole) => add(hole, await this.#resend(place, hole))),
    )
    for (const hole of holes.filter(isSpent)) add(hole, await this.#giveUp(job, place, hole))
    await this.#holes.settle(place, outcomes)
  }

  async #resend({ tenant, log, shard, record }: Place, hole: Hole): Promise<Outcome | undefined> {
    const body = resendOf(hole.body, hole.done)
    if (body === undefined) return 'closed'
    const sent = await this.#publish(
      this.#names.retry,
      serviceNamesOf(this.#names, record.service).resendKey,
      {
        kind: kindIn(hole.body),
        key: formatPlace({ tenant, log, shard, position: hole.position }),
        body,
        signature: this.#signer?.sign(hole.done.size === 0 ? 'entry' : 'partial', body),
      },
      hole,
    )
    return sent === 'routed' ? 'sent' : sent
  }

  async #giveUp(job: Job, place: Place, hole: Hole): Promise<Outcome | undefined> {
    const { tenant, log, shard, record } = place
    const { service } = record
    const { tries: attempts, firstSeenAt } = hole
    const about = { service, attempts, firstSeenAt, deadAt: job.at }
    const letters = deadLettersOf(hole.body, hole.done, about)
    const sent = await Promise.all(
      letters.map((letter) => this.#publish(this.#names.dead, service, letter, hole)),
    )
    if (sent.includes(undefined)) return undefined
    if (sent.includes('unroutable')) return 'unroutable'
    job.tally.closedEntries += 1
    const position = formatPosition(hole.position)
    this.#log.warn(
      { tenant, service, log, shard, position, events: letters.length },
      'a service never handled an entry; its events are dead letters now',
    )
    return 'closed'
  }

  /** Undefined: unknown, to be sent again when the loan of the hole is over. */
  async #publish(
    exchange: string,
    routingKey: string,
    { kind, key, body, signature }: Message,
    hole: Hole,
  ): Promise<Sent | undefined> {
    try {
      const type = `knell.${kind}`
      const message = { exchange, routingKey, type, messageId: key, body, signature }
      return await inPublishSpan(message, hole, (trace) =>
        this.#publisher.publish({ ...message, trace }),
      )
    } catch (error) {
      this.#log.debug({ err: error, exchange, routingKey }, 'not confirmed')
      return undefined
    }
  }
}

interface Message {
  readonly kind: string
  readonly key: string
  readonly body: string
  readonly signature?: string | undefined
}
