import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Enforcement } from '../../notifier/enforcement.ts'
import { addRevocationRoutes } from '../../notifier/routes/revocations.ts'
import { addUndoRoutes } from '../../notifier/routes/undo.ts'
import { Sweeper } from '../../poller/sweep.ts'
import { Broker } from '../../shared/broker/broker.ts'
import { ensureExchanges } from '../../shared/broker/topology.ts'
import { isKnellError } from '../../shared/domain/errors.ts'
import { namesOf } from '../../shared/domain/names.ts'
import { createApp } from '../../shared/http/app.ts'
import { Audit } from '../../shared/http/audit.ts'
import { FeedWatch } from '../../shared/http/feed-watch.ts'
import { addFeedRoutes } from '../../shared/http/routes/feed.ts'
import { addSubscriberRoutes } from '../../shared/http/routes/subscribers.ts'
import { tenantOf, type Services } from '../../shared/http/services.ts'
import { Metrics } from '../../shared/metrics/metrics.ts'
import { AckEar } from '../../shared/relay/ack-ear.ts'
import { AskPace } from '../../shared/relay/ask-pace.ts'
import { BeatEar } from '../../shared/relay/beat-ear.ts'
import { Beater } from '../../shared/relay/beater.ts'
import { Drainer } from '../../shared/relay/drainer.ts'
import { DueChanges } from '../../shared/relay/due-changes.ts'
import { Loop } from '../../shared/relay/loop.ts'
import { Relay } from '../../shared/relay/relay.ts'
import { AuditStore } from '../../shared/store/audit-store.ts'
import { FeedStore } from '../../shared/store/feed-store.ts'
import { HandlerStore } from '../../shared/store/handler-store.ts'
import { InstanceStore } from '../../shared/store/instance-store.ts'
import { livesOf } from '../../shared/store/lives.ts'
import { RuleStore } from '../../shared/store/rule-store.ts'
import { ScheduleStore } from '../../shared/store/schedule-store.ts'
import { Store } from '../../shared/store/store.ts'
import { TokenStore, type TokenRecord } from '../../shared/store/token-store.ts'
import { UpkeepStore } from '../../shared/store/upkeep-store.ts'
import {
  BEAT_MS,
  MAX_TTL_SECONDS,
  NAMESPACE,
  settings,
  SHARDS,
  SWEEP_GRACE_MS,
  SWEEP_MS,
} from './settings.ts'
import type { Answer, Call, Served } from './sim-http.ts'
import type { Client, SimStore, StoreServer } from './sim-store.ts'
import { Actor } from './world.ts'

const log = pino({ level: 'silent' })
const names = namesOf(NAMESPACE)
/** Counts what nobody looks at here. */
const metrics = new Metrics('notifier')
/** A poller beats when it has heard none for so many beats. */
const SILENT_BEATS = 3
const BACKLOG_MAX = 1000
const RETENTION_MS = 15_000

/**
 * A notifier or a poller: the parts that `main.ts` and `createServices` put together, but for BullMQ, whose
 * jobs are ticks of the clock here, and for what has no part in the protocol.
 */
export class KnellProcess extends Actor implements Client, Served {
  server: StoreServer
  readonly kind: 'notifier' | 'poller'
  readonly #store: SimStore
  readonly #tenants: readonly string[]
  #app: FastifyInstance | undefined
  #tokens: TokenStore | undefined

  constructor(
    name: string,
    kind: 'notifier' | 'poller',
    store: SimStore,
    tenants: readonly string[],
  ) {
    super(name)
    this.kind = kind
    this.#store = store
    this.#tenants = tenants
    this.server = store.primary
  }

  /** To be called as this actor. */
  start(): void {
    const tenants = this.#tenants
    const store = new Store(this.#store.clientOf(this), { namespace: NAMESPACE, shards: SHARDS })
    const broker = new Broker('amqp://guest@rabbit', this.name)
    broker.use((link) => ensureExchanges(link, names))
    const feed = new FeedStore(store, () => MAX_TTL_SECONDS)
    const relay = new Relay({ feed, broker, names, tenants, log })
    const watch = new FeedWatch(feed, SHARDS)
    const pace = new AskPace(BEAT_MS)
    const rules = new RuleStore(
      store,
      (entries) => {
        relay.send(entries)
        for (const tenant of new Set(entries.map((entry) => entry.tenant))) watch.wake(tenant)
      },
      {
        mayAsk: (tenant) => pace.mayAsk(tenant, performance.now()),
        giveBack: (tenant) => pace.giveBack(tenant),
      },
    )
    const instances = new InstanceStore(store, BEAT_MS)
    const handlers = new HandlerStore(store)
    const acks = new AckEar({ instances, handlers, broker, names, tenants, beatMs: BEAT_MS, log })
    const schedules = new ScheduleStore(store, rules)
    const tokens = new TokenStore(store, (tenant) => ({
      leadSeconds: tenantOf(settings, tenant).expiringLeadSeconds,
      maxTokens: tenantOf(settings, tenant).maxTokens,
    }))
    const dueChanges = new DueChanges({
      store,
      schedules,
      tenants,
      livesOf: (tenant) => livesOf({ feed, store }, tenantOf(settings, tenant)),
      log,
    })
    const drainer = new Drainer({ tokens, relay, tenants, backlogMax: BACKLOG_MAX })
    const audit = new Audit(new AuditStore(store), 0)
    const services = {
      settings,
      log,
      store,
      rules,
      schedules,
      tokens,
      feed,
      handlers,
      instances,
      acks,
      relay,
      broker,
      watch,
      metrics,
      audit,
      health: { isStopping: false },
    } as unknown as Services
    this.#tokens = tokens
    this.#app = createApp(
      settings,
      log,
      () => 'open',
      () => {},
    )
    addFeedRoutes(this.#app, services)
    addSubscriberRoutes(this.#app, services)
    const beats = { feed, broker, names, tenants, intervalMs: BEAT_MS, log }
    if (this.kind === 'notifier') {
      const enforcement = new Enforcement({ instances, rules, ear: acks })
      addRevocationRoutes(this.#app, services, enforcement)
      addUndoRoutes(this.#app, services)
      const tick = async (): Promise<void> => {
        await Promise.allSettled([dueChanges.runOnce(0), drainer.runOnce(0)])
      }
      new Loop('tick', 1000, tick, log).start()
      new Beater(beats).start()
      relay.start()
    } else {
      const ear = new BeatEar(broker, names)
      const mayBeat = (tenant: string): boolean => ear.silenceMs(tenant) > SILENT_BEATS * BEAT_MS
      new Beater({ ...beats, mayBeat }).start()
      const sweeper = new Sweeper({
        store,
        upkeep: new UpkeepStore(store),
        instances,
        auditStore: new AuditStore(store),
        relay,
        drainer,
        dueChanges,
        tenants,
        graceMs: SWEEP_GRACE_MS,
        retentionMs: RETENTION_MS,
        auditDays: 0,
        auditMax: 1000,
      })
      new Loop('sweep', SWEEP_MS, () => sweeper.runOnce('cron'), log).start()
    }
    acks.start()
    void broker.start()
  }

  async serve({ method, path, headers, body }: Call): Promise<Answer> {
    if (path === '/v1/tokens')
      return this.#register(JSON.parse(body ?? '') as TokenRecord & { tenant: string })
    const response = await (this.#app as FastifyInstance).inject({
      method: method as 'GET' | 'POST',
      url: path,
      headers: { ...headers },
      ...(body === undefined ? {} : { payload: body }),
    })
    return { status: response.statusCode, body: response.body }
  }

  /** The route of tokens reads claims and shares one pacer with all of the process; here the wheel alone is asked. */
  async #register({ tenant, ...token }: TokenRecord & { tenant: string }): Promise<Answer> {
    try {
      await this.#tokens?.register(tenant, token)
      return { status: 201, body: '{"registered":1}' }
    } catch (error) {
      const status = isKnellError(error) ? error.status : 500
      return { status, body: JSON.stringify({ detail: String(error) }) }
    }
  }
}
