#!/usr/bin/env node
import process from 'node:process'
import { addCheckRoute } from '../shared/http/routes/check.ts'
import { addDeadRoutes } from '../shared/http/routes/dead.ts'
import { addFeedRoutes } from '../shared/http/routes/feed.ts'
import { addMetricsRoute } from '../shared/http/routes/metrics.ts'
import { addOpsRoutes } from '../shared/http/routes/ops.ts'
import { addDueRoute } from '../shared/http/routes/due.ts'
import { addSweepRoute } from '../shared/http/routes/sweeps.ts'
import { addQueueRoutes } from '../shared/http/routes/queues.ts'
import { addSubscriberRoutes } from '../shared/http/routes/subscribers.ts'
import { runProcess } from '../shared/process/run-process.ts'
import { SweepQueue } from '../shared/relay/sweep-queue.ts'
import { BeatEar } from '../shared/relay/beat-ear.ts'
import { Beater } from '../shared/relay/beater.ts'
import { Drainer } from '../shared/relay/drainer.ts'
import { EventVerifier } from '../shared/signing/event-verifier.ts'
import { tenantOf } from '../shared/http/services.ts'
import { livesOf } from '../shared/store/lives.ts'
import { HoleStore } from '../shared/store/hole-store.ts'
import { createBullRedis } from '../shared/store/redis.ts'
import { HandlerRepair } from './handler-repair.ts'
import { isIssuing } from '../shared/config/tenant-settings.ts'
import { RingKeeper } from './ring-keeper.ts'
import { observeSwept } from './observe-swept.ts'
import { SweepSchedule } from './sweep-schedule.ts'
import { Sweeper } from './sweep.ts'

/** A poller beats when it has heard none for so many beats. */
const SILENT_BEATS = 3
/** An entry younger than this may still be on its way through a service's queue. */
const HANDLER_GRACE_MS = 10_000
const HANDLER_BASE_MS = 30_000
const HANDLER_MARGIN_MS = 10_000
const HANDLER_LOAN_MS = 30_000
/** Instances are heard of with each beat; one that was not for this long, or for five beats, is gone. What is sent to one too many waits in its queue. */
const ALIVE_MS = 90_000

await runProcess('poller', process, (app, shared) => {
  const { settings, log, names, store, tokens, feed, upkeep, instances, relay, acks, broker } =
    shared
  const { dueChanges, handlers, signer, auditStore } = shared
  const tenants = [...settings.tenants.keys()]
  const { backlogMax, beatMs, sweepGraceMs: graceMs, feedRetentionMs: retentionMs } = settings
  const keys = settings.eventSigningKeys

  addFeedRoutes(app, shared)
  addCheckRoute(app, shared)
  addSubscriberRoutes(app, shared)
  addOpsRoutes(app, shared)
  addMetricsRoute(app, shared)
  addDeadRoutes(app, shared)
  addDueRoute(app, shared)
  addQueueRoutes(app, shared)

  const verifier = keys.length > 0 ? new EventVerifier(keys, settings.namespace) : undefined
  const ear = new BeatEar(broker, names, verifier)
  const mayBeat = (tenant: string) => ear.silenceMs(tenant) > SILENT_BEATS * beatMs
  const beater = new Beater({
    feed,
    broker,
    names,
    tenants,
    intervalMs: beatMs,
    signer,
    log,
    mayBeat,
  })
  const drainer = new Drainer({ tokens, relay, tenants, backlogMax })
  const handlerRepair = new HandlerRepair({
    store,
    handlers,
    holes: new HoleStore(store, {
      graceMs: Math.max(graceMs, HANDLER_GRACE_MS),
      baseMs: HANDLER_BASE_MS,
      marginMs: HANDLER_MARGIN_MS,
      loanMs: HANDLER_LOAN_MS,
    }),
    broker,
    names,
    tenants,
    signer,
    livingOf: (tenant) => instances.living(tenant, Math.max(ALIVE_MS, 5 * beatMs)),
    log,
  })
  const issuing = [...settings.tenants.values()].filter(isIssuing).map(({ tenant }) => tenant)
  const ringKeeper =
    settings.issuer === undefined || shared.keyRings === undefined
      ? undefined
      : new RingKeeper({
          rings: shared.keyRings,
          rules: shared.rules,
          shards: store.shards,
          tenants: issuing,
          livesOf: (tenant) => livesOf(shared, tenantOf(settings, tenant)),
          cron: settings.issuer.rotationCron,
          audit: shared.audit,
          log,
        })
  const sweeper = new Sweeper({
    store,
    ringKeeper,
    upkeep,
    instances,
    auditStore,
    relay,
    drainer,
    dueChanges,
    handlerRepair,
    tenants,
    graceMs,
    retentionMs,
    auditDays: settings.auditDays,
    auditMax: settings.auditMax,
  })
  const workerRedis = createBullRedis(settings.redis, (err) => log.debug({ err }, 'BullMQ'))
  const queue = new SweepQueue({ store, upkeep, log })
  addSweepRoute(app, shared, queue)
  const cron = settings.sweepCron
  const schedule = new SweepSchedule({
    store,
    upkeep,
    sweeper,
    cron,
    log,
    onSwept: (report) => observeSwept(shared.metrics, report),
    queue,
    workerRedis,
  })

  return {
    start() {
      acks.start()
      beater.start()
      schedule.start()
    },
    async stop() {
      await schedule.stop()
      await beater.stop()
      await acks.stop()
      workerRedis.disconnect()
    },
  }
})
