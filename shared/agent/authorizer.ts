import type { IncomingMessage, ServerResponse } from 'node:http'
import { isKnellError, KnellError } from '../domain/errors.ts'
import { createGuard, type Guard } from '../frameworks/guard.ts'
import type { GuardOptions } from '../frameworks/guard-options.ts'
import { insufficientScope } from '../frameworks/refusal.ts'
import { sendProblem, sendRefusal } from './answers.ts'
import { toClaimsHeaders } from './claims-headers.ts'
import { missingScopes, NO_DEMAND, parseDemand, type Demand } from './demand.ts'

/** Answers a proxy that asks whether a request may pass. */
export type Authorizer = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/**
 * The token of the request's `Authorization` header is judged as the middleware does, with the same
 * answers; 200 carries its claims as headers. What the place demands stands in the query, but only
 * of `/authorize` itself: what follows a longer path came from the client.
 */
export function createAuthorizer(
  options: GuardOptions<IncomingMessage>,
  tenants: readonly string[],
): Authorizer {
  const guard = createGuard(options)
  const byTenant = new Map<string, Guard<IncomingMessage>>(
    tenants.map((tenant) => [tenant, guard.with({ tenant })]),
  )
  const wording = { realm: options.realm ?? 'api', exposeReason: options.exposeReason === true }
  return async (request, response) => {
    let demand: Demand
    try {
      demand = demandOf(request.url ?? '')
    } catch (error) {
      if (!isKnellError(error)) throw error
      return sendProblem(response, error)
    }
    const chosen = demand.tenant === undefined ? guard : byTenant.get(demand.tenant)
    if (chosen === undefined) {
      const text = `The tenant ${demand.tenant} is not followed here.`
      return sendProblem(response, new KnellError('unknown_tenant', text))
    }
    const outcome = await chosen(request)
    if (!outcome.ok) return sendRefusal(response, outcome)
    const { auth, knell } = outcome
    if (auth === undefined || knell === undefined) throw new TypeError('let in without claims')
    if (missingScopes(auth, demand).length > 0) {
      return sendRefusal(response, insufficientScope(wording, demand.scopes))
    }
    response.writeHead(200, {
      ...toClaimsHeaders(auth, knell.tenant),
      'cache-control': 'no-store',
      'content-length': 0,
    })
    response.end()
    return undefined
  }
}

function demandOf(url: string): Demand {
  const mark = url.indexOf('?')
  return mark === '/authorize'.length ? parseDemand(url.slice(mark + 1)) : NO_DEMAND
}
