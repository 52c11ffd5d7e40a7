import type { FastifyRequest } from 'fastify'
import type { ApiKey, KeyRing, Scope } from '../config/api-keys.ts'
import type { Settings } from '../config/settings.ts'
import type { TenantSettings } from '../config/tenant-settings.ts'
import { KnellError } from '../domain/errors.ts'
import { Failures } from './failures.ts'
import type { Limits } from './limits.ts'
import { tenantOf } from './services.ts'

type NamedScope = Exclude<Scope, '*'>

/** The API key that a request without a secret stands for, such as by a cookie; undefined where it has none. */
export type ReadSession = (request: FastifyRequest, keys: KeyRing) => Promise<ApiKey | undefined>

export interface Auth {
  /** Lets sessions stand for API keys, where a request brings no secret. */
  useSessions(read: ReadSession): void
  /**
   * Who calls, asked anew; undefined where a request brings nothing that says so. To be awaited
   * before `caller`, which knows sessions by it.
   * @throws KnellError as `caller` does for a wrong secret, `forbidden` for a session's cookie from elsewhere, `store_*`
   */
  identify(request: FastifyRequest): Promise<ApiKey | undefined>
  /** The key with this secret, sent in another way than as a header. @throws KnellError as `caller` does */
  login(request: FastifyRequest, secret: string): ApiKey
  /** The keys in force now. */
  keys(): KeyRing | 'open'
  /** Who calls. @throws KnellError `unauthorized`, `too_many_requests` after too many failures */
  caller(request: FastifyRequest): ApiKey
  /** The tenant, where the caller has one of the scopes and may use it. @throws KnellError `unauthorized`, `forbidden`, `unknown_tenant` */
  tenant(
    request: FastifyRequest,
    tenant: string | undefined,
    ...scopes: NamedScope[]
  ): TenantSettings
  /** Who calls, where that is known by now. */
  known(request: FastifyRequest): ApiKey | undefined
  /** The tenant that the call was about, whether or not the caller may use it. */
  tenantAsked(request: FastifyRequest): string | undefined
  /** @throws KnellError `unauthorized`, `forbidden` */
  require(request: FastifyRequest, ...scopes: NamedScope[]): ApiKey
}

/** Everybody, where authentication is off. */
const ANYBODY: ApiKey = {
  name: 'dev',
  scopes: new Set<Scope>(['*']),
  tenants: '*',
  allows: () => true,
  mayUse: () => true,
}

/** The key whose secret a request brings as a bearer token (RFC 6750, section 2.1). */
function bearer(request: FastifyRequest, ring: KeyRing): ApiKey | undefined {
  const secret = /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '')?.[1]
  return secret === undefined ? undefined : ring.authenticate(secret)
}

/** Bearer authentication against the configured API keys. */
export function createAuth(settings: Settings, keys: () => KeyRing | 'open', limits: Limits): Auth {
  const known = new WeakMap<FastifyRequest, ApiKey>()
  const asked = new WeakMap<FastifyRequest, string>()
  const failures = new Failures(limits.failures, limits.failuresWindowMs)
  let readSession: ReadSession | undefined
  const identify = async (request: FastifyRequest): Promise<ApiKey | undefined> => {
    const ring = keys()
    if (ring === 'open') return ANYBODY
    // A wrong secret is a failure wherever it is sent, or this would tell right ones from wrong ones for ever.
    if (request.headers.authorization !== undefined) {
      known.delete(request)
      return caller(request)
    }
    const key = await readSession?.(request, ring)
    if (key === undefined) known.delete(request)
    else known.set(request, key)
    return key
  }
  /** After the look-up, so that others' failures behind an address keep no right key out. */
  const refuse = (request: FastifyRequest, detail: string): KnellError => {
    const waitMs = failures.add(request.ip ?? '', performance.now())
    if (waitMs === 0) return new KnellError('unauthorized', detail)
    return new KnellError(
      'too_many_requests',
      'Too many calls from this address came without the secret of an API key.',
      { retryAfterSeconds: Math.ceil(waitMs / 1000) },
    )
  }
  const caller = (request: FastifyRequest): ApiKey => {
    const ring = keys()
    if (ring === 'open') return ANYBODY
    const key = known.get(request) ?? bearer(request, ring)
    if (key === undefined) {
      throw refuse(request, 'Send "Authorization: Bearer <secret>" with the secret of an API key.')
    }
    known.set(request, key)
    return key
  }
  const require = (request: FastifyRequest, ...scopes: NamedScope[]): ApiKey => {
    const key = caller(request)
    if (scopes.some((scope) => key.allows(scope))) return key
    throw new KnellError(
      'forbidden',
      `The API key "${key.name}" needs the scope ${scopes.join(' or ')} for this.`,
    )
  }
  return {
    useSessions(read) {
      readSession = read
    },
    identify,
    login(request, secret) {
      const ring = keys()
      if (ring === 'open') return ANYBODY
      const key = ring.authenticate(secret)
      if (key === undefined) throw refuse(request, 'No API key has this secret.')
      known.set(request, key)
      return key
    },
    keys,
    caller,
    known: (request) => (keys() === 'open' ? ANYBODY : known.get(request)),
    tenantAsked: (request) => asked.get(request),
    require,
    tenant(request, tenant, ...scopes) {
      const name = tenant ?? 'default'
      asked.set(request, name)
      const key = require(request, ...scopes)
      // A key learns nothing of tenants it may not use, not even which exist.
      if (!key.mayUse(name)) {
        throw new KnellError('forbidden', `The API key "${key.name}" is not for this tenant.`)
      }
      return tenantOf(settings, name)
    },
  }
}
