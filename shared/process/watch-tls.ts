import { unwatchFile, watchFile } from 'node:fs'
import { Server } from 'node:tls'
import type { Logger } from 'pino'
import type { Env, Settings } from '../config/settings.ts'
import { loadTls, tlsFiles } from '../config/tls-settings.ts'
import { isKnellError } from '../domain/errors.ts'
import { certificatesIn, type TlsIdentity } from '../tls/tls-identity.ts'

const LOOK_MS = 1000
/** A certificate and its key are two files that change one after the other. */
const SETTLE_MS = 500
const DAY_MS = 86_400_000
const WARN_DAYS = 14

/**
 * Reads the files of certificates and keys again when they change: connections made from then on use
 * the new ones. What has become unusable changes nothing, and is logged. Whether TLS is spoken at
 * all, and whether callers must show a certificate, is settled at the start.
 */
export function watchTls(
  settings: Settings,
  env: Env,
  server: unknown,
  log: Logger,
): { stop(): void } {
  const files = tlsFiles(env)
  let timer: NodeJS.Timeout | undefined
  const read = (): void => {
    try {
      const { amqp, redis, server: own } = loadTls(env)
      if (amqp) settings.amqpTls?.renew(amqp)
      if (redis) settings.redis.tlsClient?.renew(redis)
      if (own && server instanceof Server) {
        const { ca, cert, key } = own
        server.setSecureContext({ ca, cert, key })
      }
      log.info('the certificates were read again')
      warnOfExpiry({ amqp, redis, own }, log)
    } catch (error) {
      log.error(
        { problem: isKnellError(error) ? error.message : String(error) },
        'the changed certificates are unusable; the old ones stay',
      )
    }
  }
  const soon = (): void => {
    clearTimeout(timer)
    timer = setTimeout(read, SETTLE_MS).unref()
  }
  for (const file of files) watchFile(file, { interval: LOOK_MS, persistent: false }, soon)
  const { amqp, redis, server: own } = loadTls(env)
  warnOfExpiry({ amqp, redis, own }, log)
  return {
    stop() {
      clearTimeout(timer)
      for (const file of files) unwatchFile(file, soon)
    },
  }
}

/** An expired certificate of our own keeps no process from starting: what it cannot reach is told where it fails. */
function warnOfExpiry(
  identities: Readonly<Record<string, TlsIdentity | undefined>>,
  log: Logger,
): void {
  const ends = Object.values(identities).flatMap((identity) =>
    [identity?.ca, identity?.cert].flatMap((pem) => (pem ? (certificatesIn(pem) ?? []) : [])),
  )
  for (const { subject, validTo } of ends) {
    if (Date.parse(validTo) - Date.now() > WARN_DAYS * DAY_MS) continue
    log.warn({ subject, validTo }, 'a certificate has expired or will do so within 14 days')
  }
}
