import type { Logger } from 'pino'
import { loadClients, type ClientRing } from '../config/clients.ts'
import type { Settings } from '../config/settings.ts'
import { watchConfig, type Watched } from './watch-config.ts'

/** Reads `CLIENTS_FILE` again when it changes. */
export function watchClients(
  { clientsFile, clients, tenants }: Settings,
  log: Logger,
): Watched<ClientRing> {
  const read = (): ClientRing => loadClients(clientsFile, (tenant) => tenants.has(tenant))
  return watchConfig(clientsFile, clients, read, 'OAuth clients', log)
}
