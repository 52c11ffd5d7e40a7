#!/usr/bin/env node
import process from 'node:process'
import { Beater } from '../shared/relay/beater.ts'
import { Drainer } from '../shared/relay/drainer.ts'
import { addCheckRoute } from '../shared/http/routes/check.ts'
import { addDeadRoutes } from '../shared/http/routes/dead.ts'
import { addFeedRoutes } from '../shared/http/routes/feed.ts'
import { addMetricsRoute } from '../shared/http/routes/metrics.ts'
import { addOpsRoutes } from '../shared/http/routes/ops.ts'
import { addDueRoute } from '../shared/http/routes/due.ts'
import { addSweepRoute } from '../shared/http/routes/sweeps.ts'
import { addQueueRoutes } from '../shared/http/routes/queues.ts'
import { addSubscriberRoutes } from '../shared/http/routes/subscribers.ts'
import { addRuleRoutes } from '../shared/http/routes/rules.ts'
import { SweepQueue } from '../shared/relay/sweep-queue.ts'
import { runProcess } from '../shared/process/run-process.ts'
import { createBullRedis } from '../shared/store/redis.ts'
import { Enforcement } from './enforcement.ts'
import { ExpiryTick } from './expiry-tick.ts'
import { addIssuer } from './issuer/add-issuer.ts'
import { addOps } from './ops/add-ops.ts'
import { addAuditRoute } from './routes/audit.ts'
import { addBackchannelLogoutRoute } from './routes/backchannel-logout.ts'
import { Observer } from './observer.ts'
import { Overviews } from './overview.ts'
import { addMaxTokenTtlRoute } from './routes/max-token-ttl.ts'
import { addOverviewRoute } from './routes/overview.ts'
import { addRecentRoute } from './routes/recent.ts'
import { addRevocationRoutes } from './routes/revocations.ts'
import { addScheduleRoutes } from './routes/schedules.ts'
import { addTokenRoutes } from './routes/tokens.ts'
import { addUndoRoutes } from './routes/undo.ts'

await runProcess('notifier', process, (app, shared) => {
  const { settings, log, names, store, rules, tokens, feed, instances, relay, acks, broker } =
    shared
  const { dueChanges, signer, upkeep, publishedKeys } = shared
  const tenants = [...settings.tenants.keys()]
  const { backlogMax, beatMs } = settings

  addTokenRoutes(app, shared)
  const enforcement = new Enforcement({ instances, rules, ear: acks })
  addRevocationRoutes(app, shared, enforcement)
  addUndoRoutes(app, shared)
  addScheduleRoutes(app, shared)
  addMaxTokenTtlRoute(app, shared)
  addAuditRoute(app, shared)
  addRuleRoutes(app, shared)
  addFeedRoutes(app, shared)
  addCheckRoute(app, shared)
  addSubscriberRoutes(app, shared)
  addOpsRoutes(app, shared)
  addMetricsRoute(app, shared)
  const observer = new Observer(shared)
  addRecentRoute(app, shared, observer)
  addOverviewRoute(app, new Overviews(shared, observer.history))
  addDeadRoutes(app, shared)
  addDueRoute(app, shared)
  addQueueRoutes(app, shared)
  addIssuer(app, shared)
  addBackchannelLogoutRoute(app, shared)
  if (settings.isOpsOn) addOps(app, shared)

  const beater = new Beater({ feed, broker, names, tenants, intervalMs: beatMs, signer, log })
  const drainer = new Drainer({ tokens, relay, tenants, backlogMax })
  const workerRedis = createBullRedis(settings.redis, (err) => log.debug({ err }, 'BullMQ'))
  const sweeps = new SweepQueue({ store, upkeep, log })
  addSweepRoute(app, shared, sweeps)
  const tenant = tenants[0] ?? 'default'
  const tick = new ExpiryTick({
    store,
    tenant,
    drainer,
    dueChanges,
    log,
    workerRedis,
  })

  return {
    start() {
      acks.start()
      publishedKeys.start()
      observer.start()
      relay.start()
      beater.start()
      tick.start()
    },
    async stop() {
      publishedKeys.stop()
      await tick.stop()
      await observer.stop()
      await sweeps.close()
      await beater.stop()
      await acks.stop()
      workerRedis.disconnect()
    },
  }
})
