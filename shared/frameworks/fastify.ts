import type {
  FastifyInstance,
  FastifyPluginCallback,
  FastifyReply,
  FastifyRequest,
  onRequestAsyncHookHandler,
} from 'fastify'
import type { Claims } from '../domain/claims.ts'
import {
  assertGuardOptions,
  switchCheck,
  type GuardOptions,
  type RoutePolicy,
} from './guard-options.ts'
import { guardOf, type Guard, type TokenContext } from './guard.ts'

export type { GuardOptions, GuardSubscriber, RoutePolicy } from './guard-options.ts'
export type { TokenContext } from './guard.ts'
export type { Refusal } from './refusal.ts'
export { closeOnDeath, endOnDeath } from './streams.ts'

type Policy = RoutePolicy<FastifyRequest>

export interface KnellFastifyOptions extends GuardOptions<FastifyRequest> {
  /** Whether every route is guarded that is added after this plugin, but for those whose `config.knell` is false. Default: true. */
  readonly global?: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The verified claims of the request's token. */
    auth?: Claims
    /** The decision on the token, its header and tenant, and a signal that aborts when it dies. */
    knell?: TokenContext
  }
  interface FastifyInstance {
    /** Makes an `onRequest` hook for one route, for where not every route is guarded. @throws TypeError for an unusable policy */
    knell(policy?: RoutePolicy<FastifyRequest>): onRequestAsyncHookHandler
  }
  interface FastifyContextConfig {
    /** How this route is guarded, where every route is: another policy, or false for not at all. */
    knell?: RoutePolicy<FastifyRequest> | false
  }
}

const plugin: FastifyPluginCallback<KnellFastifyOptions> = (fastify, options, done) => {
  try {
    setUp(fastify, options)
    done()
  } catch (error) {
    // What a plugin throws ends the process; what it hands over stops the start in an orderly way.
    done(error as Error)
  }
}

function setUp(fastify: FastifyInstance, options: KnellFastifyOptions): void {
  const { global = true, ...guardOptions } = options
  assertGuardOptions('knell', options, { global: switchCheck })
  const guard = guardOf(guardOptions)
  // Undefined, so that the shape of a request is known before its hooks run.
  fastify.decorateRequest('auth', undefined)
  fastify.decorateRequest('knell', undefined)
  fastify.decorate('knell', (policy?: Policy) =>
    hookOf(policy === undefined ? guard : guard.with(policy)),
  )
  if (global) guardEveryRoute(fastify, guard)
}

function guardEveryRoute(fastify: FastifyInstance, guard: Guard<FastifyRequest>): void {
  const all = hookOf(guard)
  const others = new WeakMap<object, onRequestAsyncHookHandler>()
  // A policy that is unusable is told when its route is added, not when the route is first called.
  fastify.addHook('onRoute', ({ config }) => {
    const policy = config?.knell
    if (policy !== undefined && policy !== false) others.set(policy, hookOf(guard.with(policy)))
  })
  fastify.addHook('onRequest', async function (request, reply) {
    const { knell: policy } = request.routeOptions.config
    if (policy === false) return
    const hook = policy === undefined ? all : others.get(policy)
    // The route was added before this plugin, so its policy has not been looked at.
    if (hook === undefined) throw new TypeError('Register knell before the routes it guards.')
    return hook.call(this, request, reply)
  })
}

function hookOf(guard: Guard<FastifyRequest>): onRequestAsyncHookHandler {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const outcome = await guard(request)
    if (!outcome.ok) {
      return reply.code(outcome.status).headers(outcome.headers).send(outcome.body)
    }
    const { auth, knell: context } = outcome
    if (auth !== undefined) request.auth = auth
    if (context !== undefined) request.knell = context
  }
}

/**
 * A plugin that lets a request through only with a live token, and then sets `request.auth` and
 * `request.knell`. Register it before the routes it guards; it holds for the scope it is registered in.
 * @throws TypeError that lists everything wrong with the options
 */
export const knell: FastifyPluginCallback<KnellFastifyOptions> = Object.assign(plugin, {
  // What the package fastify-plugin does: no scope of its own, so that hooks and decorators hold for whoever registers it.
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'knell',
  [Symbol.for('plugin-meta')]: { name: 'knell', fastify: '5.x' },
})
