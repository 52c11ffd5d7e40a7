#!/usr/bin/env node
import process from 'node:process'
import { addCheckRoute } from '../shared/http/routes/check.ts'
import { addFeedRoutes } from '../shared/http/routes/feed.ts'
import { addOpsRoutes } from '../shared/http/routes/ops.ts'
import { runProcess } from '../shared/process/run-process.ts'
import { BeatEar } from '../shared/relay/beat-ear.ts'
import { Beater } from '../shared/relay/beater.ts'
import { Drainer } from '../shared/relay/drainer.ts'
import { EventVerifier } from '../shared/signing/event-verifier.ts'
import { createBullRedis } from '../shared/store/redis.ts'
import { SweepSchedule } from './sweep-schedule.ts'
import { Sweeper } from './sweep.ts'

/** A poller beats when it has heard none for so many beats. */
const SILENT_BEATS = 3

await runProcess('poller', process, (app, shared) => {
  const { settings, log, names, store, tokens, feed, upkeep, relay, broker, signer } = shared
  const tenants = [...settings.tenants.keys()]
  const {
    shards,
    backlogMax,
    beatMs,
    sweepGraceMs: graceMs,
    feedRetentionMs: retentionMs,
    eventSigningKeys: keys,
  } = settings

  addFeedRoutes(app, shared)
  addCheckRoute(app, shared)
  addOpsRoutes(app, shared)

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
  const drainer = new Drainer({ tokens, relay, tenants, shards, backlogMax })
  const sweeper = new Sweeper({
    store,
    feed,
    upkeep,
    relay,
    drainer,
    tenants,
    graceMs,
    retentionMs,
  })
  const openBull = () => createBullRedis(settings.redis, (err) => log.debug({ err }, 'BullMQ'))
  const [queueRedis, workerRedis] = [openBull(), openBull()]
  const cron = settings.sweepCron
  const schedule = new SweepSchedule({ store, upkeep, sweeper, cron, log, queueRedis, workerRedis })

  return {
    start() {
      beater.start()
      schedule.start()
    },
    async stop() {
      await schedule.stop()
      await beater.stop()
      queueRedis.disconnect()
      workerRedis.disconnect()
    },
  }
})
