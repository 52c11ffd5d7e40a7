#!/usr/bin/env node
import process from 'node:process'
import { Beater } from '../shared/relay/beater.ts'
import { Drainer } from '../shared/relay/drainer.ts'
import { addCheckRoute } from '../shared/http/routes/check.ts'
import { addFeedRoutes } from '../shared/http/routes/feed.ts'
import { addOpsRoutes } from '../shared/http/routes/ops.ts'
import { addRuleRoutes } from '../shared/http/routes/rules.ts'
import { runProcess } from '../shared/process/run-process.ts'
import { createBullRedis } from '../shared/store/redis.ts'
import { ExpiryTick } from './expiry-tick.ts'
import { addMaxTokenTtlRoute } from './routes/max-token-ttl.ts'
import { addRevocationRoutes } from './routes/revocations.ts'
import { addTokenRoutes } from './routes/tokens.ts'

await runProcess('notifier', process, (app, shared) => {
  const { settings, log, names, store, tokens, feed, relay, broker, signer } = shared
  const tenants = [...settings.tenants.keys()]
  const { shards, backlogMax, beatMs } = settings

  addTokenRoutes(app, shared)
  addRevocationRoutes(app, shared)
  addMaxTokenTtlRoute(app, shared)
  addRuleRoutes(app, shared)
  addFeedRoutes(app, shared)
  addCheckRoute(app, shared)
  addOpsRoutes(app, shared)

  const beater = new Beater({ feed, broker, names, tenants, intervalMs: beatMs, signer, log })
  const drainer = new Drainer({ tokens, relay, tenants, shards, backlogMax })
  const openBull = () => createBullRedis(settings.redis, (err) => log.debug({ err }, 'BullMQ'))
  const [queueRedis, workerRedis] = [openBull(), openBull()]
  const tenant = tenants[0] ?? 'default'
  const tick = new ExpiryTick({ store, tenant, drainer, log, queueRedis, workerRedis })

  return {
    start() {
      relay.start()
      beater.start()
      tick.start()
    },
    async stop() {
      await tick.stop()
      await beater.stop()
      queueRedis.disconnect()
      workerRedis.disconnect()
    },
  }
})
