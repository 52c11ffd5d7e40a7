import { toPositions, type Ack, type InstanceState } from '../domain/ack.ts'
import { KnellError } from '../domain/errors.ts'
import { formatPosition, parsePosition, type Position } from '../domain/position.ts'
import { KnownTails } from './known-tails.ts'
import type { Reply, Store } from './store.ts'
import { fromStore, parseStored } from './stored-json.ts'

/** Who sent an ack: a user whom RabbitMQ has checked, or the API key of a call. */
export type Sender = { readonly user: string } | { readonly key: string }

/** An instance that pulls, and so is heard of. */
export interface Puller {
  readonly service: string
  readonly instance: string
  /** ms; null: it may answer without limit. */
  readonly maxStalenessMs: number | null
  /** The name of its API key. */
  readonly key: string
  /** The positions after which it asks for revocations: what it has applied. */
  readonly applied?: readonly Position[]
  /** The store time (ms) of the newest store state it contains. */
  readonly asOf?: number
}

/** An instance of a service, as the store knows it. */
export interface Instance {
  readonly service: string
  readonly instance: string
  readonly joinedAt: number
  readonly maxStalenessMs: number | null
  /** How long the store has not heard of it, ms. */
  readonly silentMs: number
  /** Undefined until it has said what it has applied. */
  readonly applied: readonly Position[] | undefined
  readonly state: InstanceState
  /** The store time (ms) of the newest store state it said to contain; 0: none yet. */
  readonly asOf: number
  readonly user?: string
  readonly key?: string
}

/** What of an ack is kept. */
interface Kept {
  readonly p?: readonly string[]
  readonly at?: number
  readonly state?: InstanceState
}

/** What a tenant's store knows of instances. */
export interface Recorded {
  /** The store's time, ms. */
  readonly at: number
  /** Whether every instance that lives has had the time to be heard of since the store's term began. */
  readonly isSettled: boolean
  readonly instances: readonly Instance[]
}

/** An instance leaves the set by its silence this many beats after its own limit. */
const GRACE_BEATS = 2
const SETTLED_BEATS = 3
const MAX_PER_SERVICE = 1000
/** Acks written by one script call. */
const BATCH = 250

function fieldOf({ service, instance }: { service: string; instance: string }): string {
  return `${service} ${instance}`
}

/**
 * Which view instances there are and what they have applied. An instance is recorded before it is
 * told the tails, so whoever reads the set after a commit misses nobody that lacks it.
 */
export class InstanceStore {
  readonly #store: Store
  readonly #beatMs: number
  readonly #tails: KnownTails

  constructor(store: Store, beatMs: number) {
    this.#store = store
    this.#tails = new KnownTails(store)
    this.#beatMs = beatMs
  }

  #keys(tenant: string): string[] {
    const { meta, instances, applied, seen } = this.#store.keys.shard(tenant, 0)
    return [meta, instances, applied, seen]
  }

  /** Records an instance that pulls. @throws KnellError `too_many_instances`, `foreign_instance`, `store_*` */
  async join(tenant: string, puller: Puller): Promise<void> {
    const { maxStalenessMs, key, applied, asOf = 0 } = puller
    const [canBe] = await this.#tails.reach(tenant, applied === undefined ? [] : [applied])
    const kept: Kept | undefined =
      applied && canBe === true
        ? { p: applied.map(formatPosition), at: asOf, state: 'ready' }
        : undefined
    const [answer] = await this.#store.run('join', this.#keys(tenant), [
      fieldOf(puller),
      String(maxStalenessMs),
      key,
      kept === undefined ? '' : JSON.stringify(kept),
      MAX_PER_SERVICE,
    ])
    assertTaken(String(answer), puller.service)
  }

  /**
   * Takes acks of one tenant. Returns those that were refused: of an instance that somebody else is, or
   * one too many of its service.
   */
  async take(tenant: string, acks: readonly Ack[], sender: (ack: Ack) => Sender): Promise<Ack[]> {
    const refused: Ack[] = []
    for (let from = 0; from < acks.length; from += BATCH) {
      const batch = acks.slice(from, from + BATCH)
      const said = batch.map(({ applied }) => toPositions(applied.revocations))
      const canBe = await this.#tails.reach(tenant, said)
      const args = batch.flatMap((ack, i) => [
        fieldOf(ack),
        String(ack.maxStalenessMs),
        ...senderOf(sender(ack)),
        ack.state === 'leaving' ? '1' : '0',
        JSON.stringify(keptOf(ack, canBe[i] === true ? said[i] : undefined)),
      ])
      const answers = await this.#store.run('ack', this.#keys(tenant), [MAX_PER_SERVICE, ...args])
      refused.push(...batch.filter((_, i) => answers[i] !== 'ok'))
    }
    return refused
  }

  /** All recorded instances, dead ones included. */
  async all(tenant: string): Promise<Recorded> {
    const [at, term, ...rest] = await this.#store.run('listInstances', this.#keys(tenant))
    const instances = readInstances(Number(at), rest)
    return { at: Number(at), isSettled: this.isSettled(Number(at), Number(term)), instances }
  }

  /**
   * A store that was emptied or rolled back has lost instances as well. They are heard of with the
   * next beats, so a term that has only just begun does not know them all. A term is the time it began, or more.
   */
  isSettled(at: number, term: number): boolean {
    return at - term >= SETTLED_BEATS * this.#beatMs
  }

  /**
   * The instances that could still let a dead token in: those heard of within their own limit and
   * two beats, and those without a limit until they leave or are removed.
   */
  async live(tenant: string): Promise<Recorded> {
    const { at, isSettled, instances } = await this.all(tenant)
    return { at, isSettled, instances: instances.filter((instance) => !this.isGone(instance)) }
  }

  /** The services of which an instance was heard within so many ms. */
  async living(tenant: string, withinMs: number): Promise<Set<string>> {
    const { instances } = await this.all(tenant)
    const heard = instances.filter(({ silentMs }) => silentMs <= withinMs)
    return new Set(heard.map(({ service }) => service))
  }

  isGone({ silentMs, maxStalenessMs }: Instance): boolean {
    return maxStalenessMs !== null && silentMs > maxStalenessMs + GRACE_BEATS * this.#beatMs
  }

  /** Forgets instances that have left the set by their silence. Returns how many. */
  async prune(tenant: string): Promise<number> {
    const { at, instances } = await this.all(tenant)
    const gone = instances.filter((instance) => this.isGone(instance))
    return this.#forget(
      tenant,
      gone.map((instance) => [instance, at - instance.silentMs]),
    )
  }

  /** The same for many tenants, most of which have no instance at all. */
  async pruneAll(tenants: readonly string[]): Promise<{ gone: number; problem?: Error }> {
    const counts = await this.#store.readAll(
      tenants.map((tenant) => ['hlen', this.#store.keys.shard(tenant, 0).instances]),
    )
    let gone = 0
    let problem: Error | undefined
    for (const [i, tenant] of tenants.entries()) {
      if (counts[i] === 0) continue
      try {
        gone += await this.prune(tenant)
      } catch (error) {
        // One tenant's shard that fails must not keep the others' instances.
        problem ??= error instanceof Error ? error : new Error(String(error))
      }
    }
    return problem === undefined ? { gone } : { gone, problem }
  }

  /** Forgets a service's instances, or one of them, by command. Returns how many. */
  async remove(tenant: string, service: string, instance?: string): Promise<number> {
    const { at, instances } = await this.all(tenant)
    const named = instances.filter(
      (each) => each.service === service && (instance ?? each.instance) === each.instance,
    )
    return this.#forget(
      tenant,
      named.map((each) => [each, at]),
    )
  }

  async #forget(tenant: string, gone: readonly [Instance, number][]): Promise<number> {
    let count = 0
    for (let from = 0; from < gone.length; from += BATCH) {
      const args = gone.slice(from, from + BATCH).flatMap(([each, at]) => [fieldOf(each), at])
      const [forgotten] = await this.#store.run('forget', this.#keys(tenant), args)
      count += Number(forgotten)
    }
    return count
  }
}

function senderOf(sender: Sender): [string, string] {
  return 'user' in sender ? ['user', sender.user] : ['key', sender.key]
}

/** Without positions an ack says nothing of what the instance contains. */
function keptOf({ at, state }: Ack, applied: readonly Position[] | undefined): Kept {
  return applied ? { p: applied.map(formatPosition), at, state } : { p: [], at: 0, state }
}

function assertTaken(answer: string, service: string): void {
  if (answer === 'foreign') {
    throw new KnellError(
      'foreign_instance',
      'This instance was first heard of under another API key; instance names are random per connect, so take another one.',
    )
  }
  if (answer === 'full') {
    throw new KnellError(
      'too_many_instances',
      `The service "${service}" has ${MAX_PER_SERVICE} instances; remove those that are gone with DELETE /v1/subscribers.`,
    )
  }
}

function readInstances(at: number, reply: Reply): Instance[] {
  const found: Instance[] = []
  for (let i = 0; i + 3 < reply.length; i += 4) {
    const [service = '', instance = ''] = String(reply[i]).split(' ')
    const details = parseStored(String(reply[i + 1])) as Omit<Instance, 'applied'>
    const kept = reply[i + 2] === '' ? {} : (parseStored(String(reply[i + 2])) as Kept)
    found.push({
      ...details,
      service,
      instance,
      silentMs: Math.max(0, at - Number(reply[i + 3])),
      ...fromStore(() => ({
        applied: kept.p?.map(parsePosition),
        state: kept.state ?? 'joining',
        asOf: kept.at ?? 0,
      })),
    })
  }
  return found
}
