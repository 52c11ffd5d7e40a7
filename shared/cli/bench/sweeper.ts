import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Process } from '../../process/create-services.ts'
import { Drainer } from '../../relay/drainer.ts'
import { compiled } from '../checkout.ts'
import { Scope } from './scope.ts'
import { serve } from './serve.ts'
import { openServices } from './store-services.ts'

/** What a poller sweeps with, in a process that does nothing else. */

type SweepModule = typeof import('../../../poller/sweep.ts')
type Sweeper = InstanceType<SweepModule['Sweeper']>

export interface Swept {
  readonly ms: number
  readonly overdueTokens: number
}

let opened: { readonly services: Process; readonly sweeper: Sweeper } | undefined

/** The poller's own class, found by its place as the processes are: nothing in shared imports the poller. */
async function createSweeper(services: Process): Promise<Sweeper> {
  const file = pathToFileURL(join(compiled, 'poller', 'sweep.js')).href
  const { Sweeper } = (await import(file)) as SweepModule
  const { settings, store, tokens, upkeep, instances, relay, dueChanges, auditStore } = services
  const tenants = [...settings.tenants.keys()]
  const { backlogMax, sweepGraceMs: graceMs, feedRetentionMs: retentionMs } = settings
  const { auditDays, auditMax } = settings
  const drainer = new Drainer({ tokens, relay, tenants, backlogMax })
  const parts = { store, upkeep, instances, relay, drainer, dueChanges, auditStore, tenants }
  return new Sweeper({ ...parts, graceMs, retentionMs, auditDays, auditMax })
}

const methods = {
  async start(env: Readonly<Record<string, string>>): Promise<void> {
    const services = await openServices(env, new Scope())
    opened = { services, sweeper: await createSweeper(services) }
  },

  async sweep(): Promise<Swept> {
    if (opened === undefined) throw new Error('There is no sweeper.')
    const started = performance.now()
    const { overdueTokens } = await opened.sweeper.runOnce('bench')
    const ms = performance.now() - started
    await opened.services.relay.settled()
    return { ms, overdueTokens }
  },
}

export type SweepProgram = typeof methods

serve(methods)
