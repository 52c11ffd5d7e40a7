import type { OpenGate } from './gate.ts'

/** What a service may do; in the order of the table. */
export type GateName =
  'expiry' | 'refresh' | 'redis' | 'cached' | 'check' | 'introspect' | 'stateful' | 'pull' | 'view'

/** Loaded when they are asked for: what is not used must not slow down what is, and ioredis would. */
export const gates: Readonly<Record<GateName, () => Promise<OpenGate>>> = {
  expiry: async () => (await import('./expiry-gate.ts')).openExpiryGate,
  refresh: async () => (await import('./refresh-gate.ts')).openRefreshGate,
  redis: async () => (await import('./redis-gate.ts')).openRedisGate,
  cached: async () => (await import('./cached-gate.ts')).openCachedGate,
  check: async () => (await import('./check-gate.ts')).openCheckGate,
  introspect: async () => (await import('./introspect-gate.ts')).openIntrospectGate,
  stateful: async () => (await import('./introspect-gate.ts')).openStatefulGate,
  pull: async () => (await import('./view-gate.ts')).openPullGate,
  view: async () => (await import('./view-gate.ts')).openViewGate,
}
