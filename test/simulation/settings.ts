import type { Settings } from '../../shared/config/settings.ts'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'

/** Shorter than Knell's defaults, so that a run has much of everything. */
/** A run has the first of them, or both. */
export const TENANTS = ['default', 'other'] as const
export const BEAT_MS = 2000
export const SWEEP_GRACE_MS = 5000
export const SWEEP_MS = 8000
export const MAX_STALENESS_MS = 12_000
export const MAX_TTL_SECONDS = 600
export const SHARDS = 2
export const NAMESPACE = 'sim'
const LEAD_SECONDS = [4]

const tenant = {
  maxTokenTtlSeconds: MAX_TTL_SECONDS,
  expiringLeadSeconds: LEAD_SECONDS,
  issuerSkewSeconds: 0,
  maxTokens: 1_000_000,
} satisfies Omit<TenantSettings, 'tenant'>

/** What of the settings the routes and parts of a run read. */
export const settings: Settings = {
  tenants: new Map(TENANTS.map((name) => [name, { ...tenant, tenant: name }])),
  trustProxy: [],
  beatMs: BEAT_MS,
  shards: SHARDS,
  auditDays: 0,
} as unknown as Settings
