import type { ApiKey } from '../shared/config/api-keys.ts'
import type { Settings } from '../shared/config/settings.ts'
import { DEFAULT_TENANT } from '../shared/domain/tenant.ts'
import { issuerOf } from './token-reader.ts'

/**
 * The tenant a call is about: the one it names, else the one whose issuer the token names, else the
 * default. Only tenants that the key may use are looked through: which others have what issuer is
 * not for it to learn.
 */
export function tenantNamed(
  settings: Settings,
  key: ApiKey,
  item: { tenant?: string | undefined; token?: string },
): string {
  if (item.tenant !== undefined || item.token === undefined) return item.tenant ?? DEFAULT_TENANT
  if (settings.tenants.size === 1 && settings.tenants.has(DEFAULT_TENANT)) return DEFAULT_TENANT
  const issuer = issuerOf(item.token)
  for (const { tenant, issuer: known } of settings.tenants.values()) {
    if (known !== undefined && known === issuer && key.mayUse(tenant)) return tenant
  }
  return DEFAULT_TENANT
}
