import type { Logger } from 'pino'
import { createKeyRing, loadApiKeys, type KeyRing } from '../config/api-keys.ts'
import type { Env, Settings } from '../config/settings.ts'
import { watchConfig, type Watched } from './watch-config.ts'

/** Reads `API_KEYS_FILE` again when it changes. */
export function watchApiKeys(
  { apiKeysFile, apiKeys }: Settings,
  env: Env,
  log: Logger,
): Watched<KeyRing | 'open'> {
  const read = (): KeyRing => createKeyRing(loadApiKeys(env))
  return watchConfig(apiKeysFile, apiKeys, read, 'API keys', log)
}
