import type { Request } from 'express'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { assertGuardOptions, type GuardOptions } from './guard-options.ts'
import { guardOf, type GuardedRequest } from './guard.ts'
import type { Refusal } from './refusal.ts'

export type { GuardOptions, GuardSubscriber, RoutePolicy } from './guard-options.ts'
export type { RequestToken } from './express-request.ts'
export type { TokenContext } from './guard.ts'
export type { Refusal } from './refusal.ts'
export { closeOnDeath, endOnDeath } from './streams.ts'

/** Fits Express 5 and 4, Connect, and a server of Node's own. */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * Makes middleware that lets a request through only with a live token, and then sets `req.auth` and
 * `req.knell`. A refusal is answered by it: 400, 401, 503 or 500, never by `next`.
 * @throws TypeError that lists everything wrong with the options
 */
export function knell<Req extends GuardedRequest = Request>(
  options: GuardOptions<Req>,
): Middleware {
  assertGuardOptions('knell', options)
  const guard = guardOf({ ...options })
  const run: (...args: Parameters<Middleware>) => Promise<void> = async (
    request,
    response,
    next,
  ) => {
    const outcome = await guard(request as GuardedRequest as Req)
    if (!outcome.ok) {
      answer(response, outcome)
      return
    }
    const { auth, knell: context } = outcome
    if (auth !== undefined) Object.assign(request, { auth, knell: context })
    next()
  }
  return (request, response, next) => void run(request, response, next)
}

function answer(response: ServerResponse, { status, headers, body }: Refusal): void {
  if (response.headersSent) {
    response.end()
    return
  }
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.end(body)
}
