import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isKnellError, KnellError } from '../shared/domain/errors.ts'
import { saidBy } from '../shared/http/audit.ts'
import { parseWith } from '../shared/http/schemas.ts'
import type { Services } from '../shared/http/services.ts'
import { Pacer } from './pacer.ts'
import {
  answerOf,
  askedOf,
  makeRevocation,
  manyBody,
  readRevocation,
} from './revocation-request.ts'

/** One for all calls, so that a single revocation is not kept waiting by thousands. */
const pacer = new Pacer()

/**
 * Makes an array of revocations, each for itself as if it had been sent alone: its own id, place and
 * record in the audit trail. All are looked at before the first is made, so one that is not acceptable
 * makes none; what the store refuses is told by its index, and then the others have been made.
 * @throws KnellError `invalid_*`, `token_*`, `forbidden`, and what the store refuses
 */
export async function revokeMany(
  app: FastifyInstance,
  services: Services,
  request: FastifyRequest,
): Promise<{ revocations: readonly Record<string, unknown>[] }> {
  const { audit, log } = services
  if (request.headers['idempotency-key'] !== undefined) {
    throw new KnellError(
      'invalid_request',
      'An Idempotency-Key goes with one revocation; with an array send none.',
    )
  }
  const key = app.auth.caller(request)
  const asked = []
  for (const [index, body] of parseWith(manyBody, request.body, 'body').entries()) {
    await pacer.pace()
    try {
      asked.push({ body, ...(await readRevocation(app, services, request, body)) })
    } catch (error) {
      throw at(index, error, 'Nothing of the array was done.')
    }
  }
  const results = await Promise.allSettled(
    asked.map(async ({ body, tenant, change }) => {
      await pacer.pace()
      const more = { act: audit.act(request, key, askedOf(body, change)) }
      const { committed, kind } = await makeRevocation(services, tenant, change, more)
      const { reason, by } = body
      log.debug({ id: committed.ids[0], tenant, reason, by: saidBy(request, by) }, kind)
      return answerOf(committed)
    }),
  )
  const revocations = results.map((result, index) => {
    if (result.status === 'fulfilled') return result.value
    throw at(index, result.reason, 'Others of the array may have been made.')
  })
  log.info({ count: revocations.length }, 'revoked at once')
  return { revocations }
}

/** The same error, with the index of what it is about. */
function at(index: number, error: unknown, rest: string): unknown {
  if (!isKnellError(error)) return error
  const { code, message, retryAfterSeconds } = error
  const again = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  const text = `At index ${index} of the array: ${message} ${rest}`
  return new KnellError(code, text, { cause: error, ...again })
}
