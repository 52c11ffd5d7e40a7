export const DEFAULT_TENANT = 'default'

/** Stands for "many tenants" in the routing keys of acks, so no tenant may be called so. */
export const ALL_TENANTS = '_all'

const TENANT = /^[A-Za-z0-9_-]{1,40}$/
const SERVICE = /^[a-z0-9-]{1,40}$/
const INSTANCE = /^[A-Za-z0-9_-]{1,64}$/

export function isTenant(value: unknown): value is string {
  return typeof value === 'string' && TENANT.test(value) && value !== ALL_TENANTS
}

export function isService(value: unknown): value is string {
  return typeof value === 'string' && SERVICE.test(value)
}

export function isInstance(value: unknown): value is string {
  return typeof value === 'string' && INSTANCE.test(value)
}
