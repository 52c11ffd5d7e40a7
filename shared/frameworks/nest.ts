import {
  Inject,
  Injectable,
  HttpException,
  Module,
  SetMetadata,
  type CanActivate,
  type CustomDecorator,
  type DynamicModule,
  type ExecutionContext,
  type FactoryProvider,
  type ModuleMetadata,
  type Provider,
} from '@nestjs/common'
import { APP_GUARD, Reflector } from '@nestjs/core'
import {
  assertGuardOptions,
  assertRoutePolicy,
  switchCheck,
  type GuardOptions,
  type RoutePolicy,
} from './guard-options.ts'
import type { RequestToken } from './express-request.ts'
import { guardOf, type Guard, type GuardedRequest } from './guard.ts'
import type { Refusal } from './refusal.ts'

export type { GuardOptions, GuardSubscriber, RoutePolicy } from './guard-options.ts'
export type { RequestToken } from './express-request.ts'
export type { TokenContext } from './guard.ts'
export type { Refusal } from './refusal.ts'
export { closeOnDeath, endOnDeath } from './streams.ts'

/** A request of whichever platform Nest runs on. */
// oxlint-disable-next-line typescript/no-explicit-any -- Nest's own types leave the platform open in the same way.
type AnyRequest = any

export type KnellNestOptions = GuardOptions<AnyRequest>

export interface KnellScope {
  /** Whether every route of the application is guarded, but for those marked `KnellPublic()`. Default: true. Else mark what is to be guarded with `UseGuards(KnellGuard)`. */
  readonly global?: boolean
}

export interface KnellAsyncOptions
  extends KnellScope, Pick<ModuleMetadata, 'imports'>, Pick<FactoryProvider, 'inject'> {
  // oxlint-disable-next-line typescript/no-explicit-any -- What is injected is known to the caller only.
  readonly useFactory: (...injected: any[]) => KnellNestOptions | Promise<KnellNestOptions>
}

/** The token under which the options are provided. */
const KNELL_OPTIONS: unique symbol = Symbol('knell options')
const POLICY = 'knell:policy'

/** Guards this route, or all of a controller, by another policy. The one nearest to the handler counts, whole. @throws TypeError */
export function KnellPolicy(policy: RoutePolicy<AnyRequest>): CustomDecorator {
  assertRoutePolicy('KnellPolicy', policy)
  return SetMetadata(POLICY, policy)
}

/** Lets everyone in to this route, or to all of a controller. */
export function KnellPublic(): CustomDecorator {
  return SetMetadata(POLICY, false)
}

/** The answer to a request that is refused. Its headers have been set on the response. */
class KnellRefused extends HttpException {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    const cause = refusal.cause === undefined ? {} : { cause: refusal.cause }
    super(JSON.parse(refusal.body) as Record<string, unknown>, refusal.status, cause)
    this.refusal = refusal
  }
}

/** Lets a request through only with a live token, and then sets `req.auth` and `req.knell`. */
export class KnellGuard implements CanActivate {
  readonly #guard: Guard<GuardedRequest>
  readonly #reflector: Reflector
  readonly #others = new WeakMap<object, Guard<GuardedRequest>>()

  constructor(options: KnellNestOptions, reflector: Reflector) {
    assertGuardOptions('KnellModule', options)
    this.#guard = guardOf({ ...options })
    this.#reflector = reflector
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const policy = this.#reflector.getAllAndOverride<RoutePolicy | false | undefined>(POLICY, [
      context.getHandler(),
      context.getClass(),
    ])
    if (policy === false) return true
    const request = this.getRequest(context)
    const outcome = await this.#guardOf(policy)(request)
    if (!outcome.ok) throw this.#refused(context, outcome)
    const { auth, knell } = outcome
    if (auth !== undefined) Object.assign(request, { auth, knell })
    return true
  }

  /** The request whose token counts. Override it for GraphQL and the like. @throws TypeError for what is not HTTP */
  getRequest(context: ExecutionContext): GuardedRequest & RequestToken {
    if (context.getType() === 'http') return context.switchToHttp().getRequest()
    throw new TypeError(`KnellGuard guards HTTP; override getRequest for ${context.getType()}.`)
  }

  #guardOf(policy: RoutePolicy | undefined): Guard<GuardedRequest> {
    if (policy === undefined) return this.#guard
    const known = this.#others.get(policy) ?? this.#guard.with(policy)
    this.#others.set(policy, known)
    return known
  }

  #refused(context: ExecutionContext, refusal: Refusal): HttpException {
    // Both platforms' responses have this method; no exception of Nest's carries headers.
    const response = context
      .switchToHttp()
      .getResponse<{ header?(name: string, value: string): unknown } | undefined>()
    for (const [name, value] of Object.entries(refusal.headers)) response?.header?.(name, value)
    return new KnellRefused(refusal)
  }
}

// The compiler takes no decorators here, so they are called as the functions they are.
Injectable()(KnellGuard)
Inject(KNELL_OPTIONS)(KnellGuard, undefined, 0)
Inject(Reflector)(KnellGuard, undefined, 1)

/** Provides `KnellGuard` to the whole application, and by default guards every route with it. */
// oxlint-disable-next-line typescript/no-extraneous-class -- Nest's way to name a module.
export class KnellModule {
  /** @throws TypeError that lists everything wrong with the options */
  static forRoot(options: KnellNestOptions & KnellScope): DynamicModule {
    const { global, ...guardOptions } = options
    assertGuardOptions('KnellModule', options, { global: switchCheck })
    return moduleOf({ provide: KNELL_OPTIONS, useValue: guardOptions }, global)
  }

  /** As `forRoot`, with options that a factory makes. The application does not start with unusable ones. */
  static forRootAsync(options: KnellAsyncOptions): DynamicModule {
    const { useFactory, inject = [], imports = [], global } = options
    return { ...moduleOf({ provide: KNELL_OPTIONS, useFactory, inject }, global), imports }
  }
}

Module({})(KnellModule)

function moduleOf(options: Provider, guardAll: boolean = true): DynamicModule {
  const everywhere: Provider[] = guardAll ? [{ provide: APP_GUARD, useExisting: KnellGuard }] : []
  return {
    module: KnellModule,
    // Any module may use the guard without importing this one.
    global: true,
    providers: [options, KnellGuard, ...everywhere],
    exports: [KNELL_OPTIONS, KnellGuard],
  }
}
