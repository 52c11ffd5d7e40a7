import type { Logger } from 'pino'
import type { Broker } from '../broker/broker.ts'
import type { Settings } from '../config/settings.ts'
import type { TenantSettings } from '../config/tenant-settings.ts'
import { KnellError } from '../domain/errors.ts'
import { DEFAULT_TENANT } from '../domain/tenant.ts'
import type { QueueHealth } from '../queues/queue-health.ts'
import type { AckEar } from '../relay/ack-ear.ts'
import type { KeyRings } from '../keys/key-rings.ts'
import type { Verifiers } from '../keys/verifiers.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Relay } from '../relay/relay.ts'
import type { EventSigner } from '../signing/event-signer.ts'
import type { FeedStore } from '../store/feed-store.ts'
import type { HandlerStore } from '../store/handler-store.ts'
import type { InstanceStore } from '../store/instance-store.ts'
import type { Population } from '../store/population.ts'
import type { RuleStore } from '../store/rule-store.ts'
import type { AuditStore } from '../store/audit-store.ts'
import type { ScheduleStore } from '../store/schedule-store.ts'
import type { SharedRead } from '../store/shared-read.ts'
import type { Store } from '../store/store.ts'
import type { TokenStore } from '../store/token-store.ts'
import type { Totals } from '../store/totals.ts'
import type { UpkeepStore } from '../store/upkeep-store.ts'
import type { Audit } from './audit.ts'
import type { AuditTraffic } from './audit-traffic.ts'
import type { FeedWatch } from './feed-watch.ts'
import type { Health } from './health.ts'

/** What the routes work with. */
export interface Services {
  readonly settings: Settings
  readonly log: Logger
  readonly store: Store
  readonly rules: RuleStore
  readonly schedules: ScheduleStore
  readonly tokens: TokenStore
  readonly feed: FeedStore
  readonly handlers: HandlerStore
  readonly audit: Audit
  readonly auditTraffic: AuditTraffic
  readonly auditStore: AuditStore
  readonly upkeep: UpkeepStore
  readonly instances: InstanceStore
  readonly acks: AckEar
  readonly relay: Relay
  readonly broker: Broker
  readonly health: Health
  readonly queueHealth: QueueHealth
  readonly watch: FeedWatch
  readonly metrics: Metrics
  readonly verifiers: Verifiers
  /** The signing keys of the tenants, where tokens are issued. */
  readonly keyRings: KeyRings | undefined
  /** What the store holds, and who listens: read once for all who ask at the same time. */
  readonly totals: SharedRead<Totals>
  readonly population: SharedRead<Population>
  /** Undefined where no keys are configured: nothing is signed then. */
  readonly signer: EventSigner | undefined
}

/** @throws KnellError `unknown_tenant` */
export function tenantOf(settings: Settings, tenant: string = DEFAULT_TENANT): TenantSettings {
  const found = settings.tenants.get(tenant)
  if (found === undefined) {
    throw new KnellError(
      'unknown_tenant',
      `No tenant is called "${tenant.slice(0, 40)}"; declare it in TENANTS_FILE.`,
    )
  }
  return found
}
