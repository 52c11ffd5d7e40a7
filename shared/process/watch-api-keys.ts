import { unwatchFile, watchFile } from 'node:fs'
import type { Logger } from 'pino'
import { createKeyRing, loadApiKeys, type KeyRing } from '../config/api-keys.ts'
import type { Env, Settings } from '../config/settings.ts'
import { isKnellError } from '../domain/errors.ts'

const LOOK_MS = 1000

export interface WatchedKeys {
  /** The keys in force now. */
  current(): KeyRing | 'open'
  stop(): void
}

/** Reads `API_KEYS_FILE` again when it changes. A file that has become unusable changes nothing, and is logged. */
export function watchApiKeys(settings: Settings, env: Env, log: Logger): WatchedKeys {
  const path = settings.apiKeysFile
  let ring = settings.apiKeys
  const read = (): void => {
    try {
      ring = createKeyRing(loadApiKeys(env))
      log.info('the API keys were read again')
    } catch (error) {
      log.error(
        { problem: isKnellError(error) ? error.message : String(error) },
        'the changed API keys are unusable; the old ones stay',
      )
    }
  }
  if (path !== undefined) watchFile(path, { interval: LOOK_MS, persistent: false }, read)
  return {
    current: () => ring,
    stop() {
      if (path !== undefined) unwatchFile(path, read)
    },
  }
}
