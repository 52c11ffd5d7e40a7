import { context, ROOT_CONTEXT, type Context } from '@opentelemetry/api'
import { randomUUID } from 'node:crypto'
import { KnellError, isKnellError, type ErrorCode, errorCodes } from '../domain/errors.ts'
import { termOf, type Log, type Position } from '../domain/position.ts'
import { inSpan, textOf } from '../tracing/spans.ts'
import {
  joinTraces,
  seqOfAnswer,
  tellCommit,
  type EntryTrace,
  type TracedCommit,
} from './commit-trace.ts'
import { isAsking, type Asking } from './asking.ts'
import { GroupCommit } from './group-commit.ts'
import { splitAt } from './stored-rule.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'
import { turnsLater } from './turns-later.ts'

/** An entry as the store keeps it: the body that travels unchanged all the way, and beside it where its trace stands. */
export interface StoredEntry extends EntryTrace {
  readonly tenant: string
  readonly log: Log
  readonly shard: number
  readonly position: Position
  readonly body: string
}

/** Reads what a script committed, `seq` and body in turn, all under one epoch. */
export function readEntries(
  pairs: readonly unknown[],
  epoch: string,
  place: Pick<StoredEntry, 'tenant' | 'log' | 'shard'>,
): StoredEntry[] {
  const term = termOf(epoch) ?? 0
  const entries: StoredEntry[] = []
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const position = { term, seq: Number(pairs[i]) }
    entries.push({ ...place, position, body: String(pairs[i + 1]) })
  }
  return entries
}

/** A change in the short form the commit script takes. */
export type WireChange = Readonly<Record<string, unknown>>

interface Grouped {
  readonly change: WireChange
  readonly idempotency: Idempotency | undefined
  readonly act: string
  readonly traced: TracedCommit
  readonly within: Context
}

/** What goes with a change. */
export interface Accompanied {
  readonly idempotency?: Idempotency | undefined
  /** The text of its `AuditAct`: committed with it, in one step. Absent: it is not audited. */
  readonly act?: string | undefined
}

/** An idempotency key as the store knows it: bound to API key, tenant and body. */
export interface Idempotency {
  /** Hash of the API key's name and the key it sent; letters and digits. */
  readonly key: string
  /** Hash of the body; letters and digits. */
  readonly body: string
}

/** What a change would do: the wire texts of its rule before and after, empty where there is none. */
export interface Preview {
  /** The store's time, in ms. */
  readonly at: number
  readonly answer: string
  readonly before: string
  readonly after: string
}

/** A group is small enough for its entry to be one message. */
const MAX_GROUP = 500
/** Tries of one commit end before the store would refuse it as too old. */
const MAX_TRY_MS = 10_000
/** The keys of the script that come before the idempotency records. */
const FIXED_KEYS = 12

/** The one door for changes: calls that arrive while a write is in flight join the next one, per tenant and shard. */
export class RuleCommit {
  readonly #store: Store
  readonly #onCommitted: (entries: readonly StoredEntry[]) => void
  readonly #asking: Asking | undefined
  readonly #groups = new Map<string, GroupCommit<Grouped, string>>()

  /** Without `asking` only what somebody waits for asks for acks. */
  constructor(
    store: Store,
    onCommitted: (entries: readonly StoredEntry[]) => void,
    asking?: Asking,
  ) {
    this.#store = store
    this.#onCommitted = onCommitted
    this.#asking = asking
  }

  /** The script's answer to one change. @throws KnellError the code that the script refuses with, `store_*` */
  async commit(
    tenant: string,
    shard: number,
    change: WireChange,
    { idempotency, act = '' }: Accompanied = {},
  ): Promise<string> {
    const key = `${tenant}.${shard}`
    if (idempotency !== undefined) await this.#claimKey(tenant, idempotency)
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = new GroupCommit<Grouped, string>({
        maxItems: MAX_GROUP,
        // What a tracer of the store sees belongs to the first of the group, not to whoever found the store idle.
        write: (group) =>
          context.with(group[0]?.within ?? ROOT_CONTEXT, () => this.#write(tenant, shard, group)),
      })
      this.#groups.set(key, group)
    }
    const joined = group
    const attributes = { 'knell.tenant': tenant, 'knell.shard': shard }
    return inSpan('commit', { attributes }, async (span, within) => {
      const traced = { span, text: textOf(within) }
      const answer = accepted(await joined.add({ change, idempotency, act, traced, within }))
      tellCommit(span, answer)
      return answer
    })
  }

  /** What a change would do, found by the same script, which writes nothing but the shard's clock. @throws KnellError as `commit` */
  async preview(tenant: string, shard: number, change: WireChange): Promise<Preview> {
    const first = Math.floor(await this.#store.now(tenant))
    const names = this.#names(tenant, shard, randomUUID())
    const args = [tenant, shard, first, JSON.stringify([change]), 'dry']
    const [, at, , answer, before, after] = await this.#store.run('commit', names, args)
    return {
      at: Number(at),
      answer: accepted(String(answer)),
      before: String(before),
      after: String(after),
    }
  }

  #names(tenant: string, shard: number, id: string): string[] {
    const keys = this.#store.keys.shard(tenant, shard)
    return [
      keys.meta,
      keys.rules,
      keys.until,
      keys.ids,
      keys.feed.revocations,
      keys.unsent.revocations,
      keys.commit(id),
      keys.kids,
      keys.holds,
      keys.schedules,
      keys.scheduled,
      keys.audit,
    ]
  }

  async #write(
    tenant: string,
    shard: number,
    group: readonly Grouped[],
  ): Promise<readonly string[]> {
    const keys = this.#store.keys.shard(tenant, shard)
    const first = Math.floor(await this.#store.now(tenant))
    const names = this.#names(tenant, shard, randomUUID())
    const isAsked = group.some(({ change }) => change['ack'] === true)
    // An ack of the last entry is one of all before it.
    const asks = !isAsked && this.#asking?.mayAsk(tenant) === true
    const changes = group.map(({ change, idempotency, traced: { text } }, i) => {
      const sent = {
        ...change,
        ...(asks && i === group.length - 1 ? { ack: true } : {}),
        ...(text === undefined ? {} : { w: text }),
      }
      if (idempotency === undefined) return sent
      names.push(keys.idempotency(idempotency.key))
      return { ...sent, k: names.length - FIXED_KEYS, h: idempotency.body }
    })
    const acts = group.map(({ act }) => act)
    const args = [tenant, shard, first, JSON.stringify(changes), '', ...acts]
    const reply = await retrying(() => this.#store.run('commit', names, args))
    const [word, , epoch, result] = reply.map(String)
    if (word === 'commit_too_old') {
      throw new KnellError(
        'commit_too_old',
        'The store was away too long for this write; send it again.',
      )
    }
    const entries = readEntries(reply.slice(4), String(epoch), {
      tenant,
      log: 'revocations',
      shard,
    })
    // What was committed before, or refused, makes no entry that could ask.
    if (asks && !entries.some(({ body }) => isAsking(body))) this.#asking?.giveBack(tenant)
    const answers = String(result).split('\n')
    if (entries.length === 0) return answers
    this.#onCommitted(withTraces(entries, group, answers))
    // So that nobody's answer is written before the entries are on their way to the views. Whoever waits
    // for acks has to listen before they can come, and is answered much later.
    if (!isAsked) await turnsLater(2)
    return answers
  }

  /** Binds an idempotency key to its body for all shards; the answer itself is kept where the rule lives. */
  async #claimKey(tenant: string, { key, body }: Idempotency): Promise<void> {
    const name = `${this.#store.keys.shard(tenant, 0).idempotency(key)}:body`
    let known: string | null
    try {
      known = await this.#store.redis.set(name, body, 'PX', 600_000, 'NX', 'GET')
    } catch (error) {
      throw toStoreError(error)
    }
    if (known !== null && known !== body) throw refusalOf('!idempotency_conflict')
  }
}

/** Entries with the traces of the commits they came of. */
function withTraces(
  entries: readonly StoredEntry[],
  group: readonly Grouped[],
  answers: readonly string[],
): StoredEntry[] {
  if (group.every(({ traced }) => traced.text === undefined)) return [...entries]
  const seqs = answers.map(seqOfAnswer)
  return entries.map((entry) => {
    const own = group.filter((_, i) => seqs[i] === entry.position.seq)
    return { ...entry, ...joinTraces(own.map(({ traced }) => traced)) }
  })
}

function accepted(answer: string): string {
  if (answer.startsWith('!')) throw refusalOf(answer)
  return answer
}

function refusalOf(text: string): KnellError {
  const [word, detail] = splitAt(text.slice(1), ' ')
  const code: ErrorCode = word in errorCodes ? (word as ErrorCode) : 'internal'
  const messages: Partial<Record<ErrorCode, string>> = {
    issued_before_in_future: `issuedBefore may be at most ${detail} for this match; leave it out for the default.`,
    too_many_cutoffs:
      'This match already has 16 revocations with different exceptions; restore some, or revoke without except.',
    rule_too_large:
      'The rule of this match would exceed 60,000 bytes; use shorter values or fewer exceptions.',
    idempotency_conflict:
      'This Idempotency-Key was used with another body in the last 10 minutes; use a new key for a new request.',
    unknown_revocation:
      'No live revocation is known by this id or match; it may have been pruned after its until. Where the store has lost it, restore or release by match with force.',
    time_out_of_range:
      'reviewBy and at must lie in the future by the store’s clock, at most 366 days ahead, and reviewBy after at.',
    too_many_schedules: 'This tenant has 10,000 schedules waiting in one shard; cancel some.',
    unknown_schedule: 'No schedule with this id is waiting; it was made, cancelled, or never was.',
  }
  return new KnellError(code, messages[code] ?? 'The store refused the change.')
}

/** Tries again while the store is away: the commit's id makes a repeat harmless. */
async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  const started = performance.now()
  for (let wait = 50; ; wait = Math.min(wait * 2, 1000)) {
    try {
      return await attempt()
    } catch (error) {
      const spent = performance.now() - started
      if (!isKnellError(error, 'store_unavailable') || spent + wait > MAX_TRY_MS) throw error
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
}
