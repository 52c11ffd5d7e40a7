import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { KnellError } from '../../domain/errors.ts'
import type { SweepQueue } from '../../relay/sweep-queue.ts'
import type { Takes } from '../calls/call.ts'
import { parseWith } from '../schemas.ts'
import type { Services } from '../services.ts'
import { parseStored } from '../../store/stored-json.ts'

const sweepBody = z
  .strictObject({
    wait: z.boolean().default(false),
    timeoutMs: z.int().min(0).max(60_000).default(30_000),
  })
  .prefault({})

/** What the calls of this file take. */
export const sweepTakes: Takes = {
  'POST /v1/sweeps': { body: sweepBody },
}

/** `POST /v1/sweeps`: a sweep now, which whichever poller is free takes. */
export function addSweepRoute(
  app: FastifyInstance,
  { upkeep, audit, health, log }: Services,
  sweeps: SweepQueue,
): void {
  app.post('/v1/sweeps', { config: { action: 'sweep' } }, async (request, reply) => {
    const key = app.auth.require(request, 'ops:write')
    if (key.tenants !== '*') {
      throw new KnellError('forbidden', 'A sweep is of all tenants, so it is for keys of all.')
    }
    const { wait, timeoutMs } = parseWith(sweepBody, request.body ?? undefined, 'body')
    const asked = await sweeps.ask()
    const { job } = asked
    await audit.record(request, key, null, { action: 'sweep', details: { job } }, { ok: true, job })
    log.info({ job, key: key.name }, 'a sweep was asked for')
    if (wait) {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const report = await sweeps.report(asked, timeoutMs, gone.signal, () => health.isStopping)
      if (report !== undefined) return { job, report }
    }
    // Only a poller sweeps: the state says whether one has taken the job, the time when one last swept.
    const [state, [newest]] = await Promise.all([sweeps.state(job), upkeep.reports(1)])
    const lastAt = newest === undefined ? null : (parseStored(newest) as { at: number }).at
    return reply.status(202).send({ job, state, lastAt })
  })
}
