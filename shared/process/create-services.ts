import { EventEmitter } from 'node:events'
import type { Logger } from 'pino'
import { Broker } from '../broker/broker.ts'
import { ensureExchanges } from '../broker/topology.ts'
import { DEFAULT_MAX_TOKENS, isIssuing } from '../config/tenant-settings.ts'
import type { Settings } from '../config/settings.ts'
import { isKnellError, KnellError } from '../domain/errors.ts'
import { namesOf, type Names } from '../domain/names.ts'
import { Audit } from '../http/audit.ts'
import { AuditTraffic } from '../http/audit-traffic.ts'
import { FeedWatch } from '../http/feed-watch.ts'
import { Health } from '../http/health.ts'
import { tenantOf, type Services } from '../http/services.ts'
import { KeyRings } from '../keys/key-rings.ts'
import { createSealer } from '../keys/sealer.ts'
import { PublishedKeys } from '../keys/published-keys.ts'
import { Verifiers } from '../keys/verifiers.ts'
import { Metrics } from '../metrics/metrics.ts'
import { observePublished } from '../metrics/observe-published.ts'
import { addStoreCollectors } from '../metrics/store-collectors.ts'
import { openBullQueues } from '../queues/bull-queues.ts'
import { addQueueCollector } from '../queues/queue-collector.ts'
import { QueueHealth } from '../queues/queue-health.ts'
import { RabbitReader } from '../queues/rabbit-reader.ts'
import { AckEar } from '../relay/ack-ear.ts'
import { AskPace } from '../relay/ask-pace.ts'
import { DueChanges } from '../relay/due-changes.ts'
import { Relay } from '../relay/relay.ts'
import { publicJwks } from '../signing/event-keys.ts'
import { EventSigner } from '../signing/event-signer.ts'
import { assertFacts, seedMaxTokenTtl, storeWarnings } from '../store/facts.ts'
import { isAsking } from '../store/asking.ts'
import { AuditStore } from '../store/audit-store.ts'
import { FeedStore } from '../store/feed-store.ts'
import { HandlerStore } from '../store/handler-store.ts'
import { InstanceStore } from '../store/instance-store.ts'
import { livesOf } from '../store/lives.ts'
import { readPopulation } from '../store/population.ts'
import { createRedis } from '../store/redis.ts'
import { RingStore } from '../store/ring-store.ts'
import { RuleStore } from '../store/rule-store.ts'
import type { StoredEntry } from '../store/rule-commit.ts'
import { SharedRead } from '../store/shared-read.ts'
import { ScheduleStore } from '../store/schedule-store.ts'
import { Store } from '../store/store.ts'
import { StoreLink } from '../store/store-link.ts'
import { readTotals } from '../store/totals.ts'
import { TokenStore } from '../store/token-store.ts'
import { turnsLater } from '../store/turns-later.ts'
import { UpkeepStore } from '../store/upkeep-store.ts'

/** After a check that did not work. */
const RETRY_MS = 1000

interface CommitEvents {
  /** Entries that this process committed. */
  entries: [readonly StoredEntry[]]
}

export interface Process extends Services {
  readonly names: Names
  readonly committed: EventEmitter<CommitEvents>
  readonly dueChanges: DueChanges
  readonly publishedKeys: PublishedKeys
  /** Resolves once the store has been seen and fits; rejects, once, where it never can. */
  readonly storeChecked: Promise<void>
}

/** Opens the store and the broker and puts what both processes share on top. Neither needs to be up. */
export function createServices(settings: Settings, log: Logger): Process {
  const { namespace, shards, tenants, beatMs, eventSigningKeys } = settings
  const names = namesOf(namespace)
  const storeLink = new StoreLink(settings.redis, log)
  const redis = createRedis(settings.redis, (error) => storeLink.failed(error))
  redis.on('ready', () => storeLink.succeeded())
  const store = new Store(redis, { namespace, shards })
  const broker = new Broker(settings.amqpUrl, `knell ${settings.kind}`, settings.amqpTls)
  broker.use((link) => ensureExchanges(link, names))
  broker.on('up', () => log.info('RabbitMQ is connected'))
  broker.on('down', (error) => {
    if (error !== undefined) log.warn({ err: error }, 'RabbitMQ was lost; connecting again')
  })
  broker.on('problem', (error) => log.warn({ code: error.code }, error.message))
  const feed = new FeedStore(store, (tenant) => tenants.get(tenant)?.maxTokenTtlSeconds ?? 86_400)
  const isSigning = eventSigningKeys.length > 0
  const signer = isSigning ? new EventSigner(eventSigningKeys, namespace) : undefined
  if (isSigning) log.info({ pin: publicJwks(eventSigningKeys) }, 'events are signed')
  const metrics = new Metrics(settings.kind)
  const relay = new Relay({
    feed,
    broker,
    names,
    tenants: [...tenants.keys()],
    signer,
    log,
    onPublished: (kind, what, ms) => observePublished(metrics, kind, what, ms),
  })
  const watch = new FeedWatch(feed, shards)
  const committed = new EventEmitter<CommitEvents>()
  const pace = new AskPace(beatMs)
  // What only looks on comes after those who wait, the views and then the callers; but acks are to be awaited before they can come.
  const tell = async (entries: readonly StoredEntry[]): Promise<void> => {
    if (!entries.some(({ body }) => isAsking(body))) await turnsLater(3)
    for (const tenant of new Set(entries.map((entry) => entry.tenant))) watch.wake(tenant)
    committed.emit('entries', entries)
  }
  const rules = new RuleStore(
    store,
    (entries) => {
      relay.send(entries)
      void tell(entries)
    },
    {
      mayAsk: (tenant) => pace.mayAsk(tenant, performance.now()),
      giveBack: (tenant) => pace.giveBack(tenant),
    },
  )
  const instances = new InstanceStore(store, beatMs)
  const handlers = new HandlerStore(store)
  const acks = new AckEar({
    instances,
    handlers,
    broker,
    names,
    tenants: [...tenants.keys()],
    beatMs,
    log,
  })
  const schedules = new ScheduleStore(store, rules)
  const auditStore = new AuditStore(store)
  const audit = new Audit(auditStore, settings.auditDays)
  const auditTraffic = new AuditTraffic(auditStore, settings.auditDays, log)
  const dueChanges = new DueChanges({
    store,
    schedules,
    audit,
    tenants: [...tenants.keys()],
    livesOf: (tenant) => livesOf({ feed, store }, tenantOf(settings, tenant)),
    log,
  })
  const health = new Health(store, broker, log, storeLink)
  const totals = new SharedRead(() => readTotals(store, [...tenants.keys()]))
  const population = new SharedRead(() => readPopulation(store, instances, [...tenants.keys()]))
  addStoreCollectors(metrics, { store, broker, totals, population, tenants: tenants.size })
  const upkeep = new UpkeepStore(store)
  const queueHealth = new QueueHealth({
    store,
    handlers,
    upkeep,
    bullQueues: openBullQueues(store, (err) => log.debug({ err }, 'BullMQ')),
    rabbit: new RabbitReader({
      broker,
      names,
      management: settings.management,
      prometheus: settings.prometheus,
    }),
    tenants: [...tenants.keys()],
    backlogMax: settings.backlogMax,
    probed: () => health.report(),
  })
  addQueueCollector(metrics, queueHealth)
  const keyRings = createKeyRings(settings, store, feed)
  const publishedKeys = new PublishedKeys({ tenants, rules, shards, log })
  return {
    settings,
    log,
    verifiers: new Verifiers(keyRings === undefined ? [publishedKeys] : [keyRings, publishedKeys]),
    publishedKeys,
    keyRings,
    names,
    store,
    rules,
    schedules,
    dueChanges,
    tokens: new TokenStore(store, (tenant) => ({
      leadSeconds: tenants.get(tenant)?.expiringLeadSeconds ?? [],
      maxTokens: tenants.get(tenant)?.maxTokens ?? DEFAULT_MAX_TOKENS,
    })),
    feed,
    handlers,
    audit,
    auditTraffic,
    auditStore,
    upkeep,
    instances,
    acks,
    relay,
    broker,
    health,
    queueHealth,
    watch,
    metrics,
    totals,
    population,
    committed,
    signer,
    storeChecked: checkStore(store, settings, log, keyRings),
  }
}

/** The signing keys of the tenants, where tokens are issued. */
function createKeyRings(settings: Settings, store: Store, feed: FeedStore): KeyRings | undefined {
  const { issuer, namespace } = settings
  if (issuer === undefined) return undefined
  return new KeyRings({
    store: new RingStore(store),
    sealer: createSealer(issuer.keyEncryptionKeys, namespace),
    alg: issuer.alg,
    longestLife: async (tenant) =>
      (await livesOf({ feed, store }, tenantOf(settings, tenant))).ttlSeconds,
  })
}

/** Each time the store (re)appears it may be another one, so it is looked at again; the first look decides whether the process may run. */
function checkStore(
  store: Store,
  settings: Settings,
  log: Logger,
  keyRings: KeyRings | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = async (): Promise<void> => {
      try {
        await assertFacts(store)
        const warnings = await storeWarnings(store)
        for (const warning of warnings) log.warn(warning)
        if (settings.storeStrict && warnings.length > 0) {
          throw new KnellError('store_mismatch', `STORE_STRICT is on. ${warnings.join(' ')}`)
        }
        for (const { tenant, maxTokenTtlSeconds } of settings.tenants.values()) {
          const steps = await seedMaxTokenTtl(store, tenant, maxTokenTtlSeconds)
          const kept = steps.at(-1)?.seconds
          if (kept === maxTokenTtlSeconds) continue
          log.warn(
            { tenant, kept, set: maxTokenTtlSeconds },
            'MAX_TOKEN_TTL differs from what the store keeps; the store’s value holds',
          )
        }
        for (const one of [...settings.tenants.values()].filter(isIssuing)) {
          await keyRings?.assertOpens(one.tenant)
        }
        resolve()
      } catch (error) {
        const isFatal =
          isKnellError(error, 'store_mismatch') || isKnellError(error, 'config_invalid')
        if (isFatal) return reject(error)
        log.warn({ err: error }, 'the store cannot be checked yet')
        // Keeps nothing alive: a process that is stopping need not know any more.
        setTimeout(() => void look(), RETRY_MS).unref()
      }
      return undefined
    }
    store.redis.on('ready', () => void look())
  })
}
