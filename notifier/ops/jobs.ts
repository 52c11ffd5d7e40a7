import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { FastifyInstance } from 'fastify'
import { KnellError } from '../../shared/domain/errors.ts'
import type { Services } from '../../shared/http/services.ts'
import { openBullQueues } from '../../shared/queues/bull-queues.ts'

const PATH = '/ops/jobs'
/** The page asks another host for its fonts; the policy would refuse them, and nobody should even be asked. */
const FOREIGN = /<link[^>]+href="https?:[^>]*>/g

/** bull-board over Knell's jobs, only to look at. The jobs hold no data of tenants: they say that something is to be done. */
export async function addJobs(scope: FastifyInstance, { store, log }: Services): Promise<void> {
  const queues = openBullQueues(store, (err) => log.debug({ err }, 'bull-board'))
  const adapter = new FastifyAdapter().setBasePath(PATH)
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Knell jobs', hideRedisDetails: true } },
  })
  // What is refused is told as everywhere else: what an error handler throws goes to the one above it.
  adapter.setErrorHandler((error) => {
    throw error
  })
  await scope.register(async (board) => {
    board.addHook('preHandler', async (request) => {
      const key = scope.auth.require(request, 'ops:read')
      if (key.tenants !== '*') {
        throw new KnellError('forbidden', 'The jobs are for keys of all tenants.')
      }
      await Promise.resolve()
    })
    board.addHook('onSend', async (_request, reply, payload) => {
      await Promise.resolve()
      const isPage = String(reply.getHeader('content-type')).startsWith('text/html')
      return isPage && typeof payload === 'string' ? payload.replaceAll(FOREIGN, '') : payload
    })
    await board.register(adapter.registerPlugin(), { prefix: PATH })
  })
}
