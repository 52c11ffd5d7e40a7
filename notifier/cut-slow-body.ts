import type { FastifyRequest } from 'fastify'

const BODY_MS = 10_000

/**
 * Ends the connection of a call whose body does not come. For calls of whom nobody is known before the
 * body has come: a stranger must not keep us waiting for it.
 */
export function cutSlowBody({ raw }: FastifyRequest): void {
  const timer = setTimeout(() => raw.destroy(), BODY_MS)
  timer.unref()
  raw.once('close', () => clearTimeout(timer))
  raw.once('end', () => clearTimeout(timer))
}
