import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { loadSettings, type ProcessKind, type Settings } from '../config/settings.ts'
import { isKnellError } from '../domain/errors.ts'
import { createApp } from '../http/app.ts'
import { observeHttp } from '../metrics/observe-http.ts'
import { closeServer } from './close-server.ts'
import { createLog } from './create-log.ts'
import { createServices, type Process } from './create-services.ts'
import { readVersion } from './read-version.ts'
import { watchApiKeys } from './watch-api-keys.ts'
import { watchTls } from './watch-tls.ts'

/** How long a stop may take before the process ends all the same. */
const STOP_MS = 10_000
/** `EX_CONFIG` of sysexits: starting again without a change is no use. */
const EXIT_CONFIG = 78

/** The parts of one kind of process. */
export interface Parts {
  /** Starts the background parts; called once the store has been seen and fits. */
  start(): void
  /** Stops them, in an order that leaves nothing half done. */
  stop(): Promise<void>
}

/** What a `main.ts` gives: routes and background parts on top of what both processes share. */
export type Compose = (app: FastifyInstance, process: Process) => Parts

/** Runs a process from its environment until a signal ends it. Sets the exit code; never throws. */
export async function runProcess(
  kind: ProcessKind,
  host: NodeJS.Process,
  compose: Compose,
): Promise<void> {
  let settings: Settings
  try {
    settings = loadSettings(host.env, kind, { dev: host.argv.includes('--dev') })
  } catch (error) {
    host.stderr.write(`${isKnellError(error) ? error.message : String(error)}\n`)
    host.exitCode = EXIT_CONFIG
    return
  }
  const log = createLog(`knell ${kind}`, settings.logLevel)
  const shared = createServices(settings, log)
  // Awaited below; until then its rejection must not count as unhandled.
  shared.storeChecked.catch(() => {})
  const keys = watchApiKeys(settings, host.env, log)
  const app = createApp(
    settings,
    log,
    () => keys.current(),
    () => shared.health.assertServing(),
  )
  shared.metrics.collectProcess()
  shared.metrics.set('knell_build_info', 1, { version: readVersion(), kind })
  observeHttp(app, shared.metrics)
  const certificates = watchTls(settings, host.env, app.server, log)
  shared.auditTraffic.watch(app, (tenant) => settings.tenants.has(tenant))
  const parts = compose(app, shared)
  let stopping: Promise<void> | undefined
  const stop = (code: number): Promise<void> => {
    host.exitCode ??= code
    keys.stop()
    certificates.stop()
    stopping ??= stopAll(app, shared, parts, log)
    const timer = setTimeout(() => {
      log.error('The stop took too long; ending now.')
      host.exit(1)
    }, STOP_MS)
    timer.unref()
    return stopping
  }
  host.on('SIGTERM', () => void stop(0))
  host.on('SIGINT', () => void stop(0))
  try {
    await shared.broker.start()
    shared.health.start()
    const url = await app.listen({ host: settings.host, port: settings.port })
    log.info({ url }, 'listening')
    log.debug({ calls: app.calls }, 'serving')
  } catch (error) {
    tellWhyNot(error, settings, log)
    await stop(1)
    return
  }
  try {
    await shared.storeChecked
    if (!shared.health.isStopping) parts.start()
  } catch (error) {
    log.fatal(error instanceof Error ? error.message : String(error))
    await stop(EXIT_CONFIG)
  }
}

/** A port that is taken is the commonest reason, and needs no stack. */
function tellWhyNot(error: unknown, { host, port }: Settings, log: Logger): void {
  const { code } = error as { code?: unknown }
  if (code === 'EADDRINUSE') {
    const where = `Port ${port} of ${host} is taken`
    log.fatal({ code }, `${where}: set PORT to another one, or end what listens there.`)
  } else {
    log.fatal({ err: error }, 'cannot start')
  }
}

async function stopAll(
  app: FastifyInstance,
  shared: Process,
  parts: Parts,
  log: Logger,
): Promise<void> {
  log.info('stopping')
  shared.health.markStopping()
  shared.watch.stop()
  await closeServer(app.server, () => app.close())
  log.debug('no call is under way any more')
  await parts.stop()
  log.debug('the background parts have stopped')
  await shared.auditTraffic.stop()
  await shared.relay.stop()
  await shared.health.stop()
  await shared.broker.close()
  shared.store.close()
  log.info('stopped')
}
