import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ClientRing, OAuthClient } from '../../shared/config/clients.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import { Cap } from '../../shared/http/cap.ts'
import { Failures } from '../../shared/http/failures.ts'
import type { Limits } from '../../shared/http/limits.ts'
import { formDecode, formOf } from './oauth-form.ts'

export interface ClientAuth {
  /**
   * The client that calls (RFC 6749, section 2.3.1): by HTTP Basic or by `client_id` and
   * `client_secret` in the body, never by both; a public client by its `client_id` alone. Its call
   * counts as under way until it is answered.
   * @throws KnellError `invalid_client`, `invalid_request`; `too_many_requests` after too many
   *   failures, or where the client has too much under way
   */
  authenticate(request: FastifyRequest, reply: FastifyReply): OAuthClient
}

/** What a call says of who it comes from. Without a secret: a public client, if at all. */
interface Credentials {
  readonly clientId: string
  readonly secret: string | undefined
}

/** Authenticates OAuth clients. Failures count by address, as those of API keys do, and apart from them. */
export function createClientAuth(ring: () => ClientRing, limits: Limits): ClientAuth {
  const failures = new Failures(limits.failures, limits.failuresWindowMs)
  const calls = new Cap(limits.callsPerKey, 'calls', 'client')

  /** After the look-up, so that others' failures behind an address keep no right client out. */
  function refuse(request: FastifyRequest): KnellError {
    const waitMs = failures.add(request.ip ?? '', performance.now())
    if (waitMs === 0) {
      return new KnellError(
        'invalid_client',
        'Authenticate as a client: by HTTP Basic, or with client_id and client_secret in the body; a public client with its client_id.',
      )
    }
    return new KnellError(
      'too_many_requests',
      'Too many calls from this address came without the credentials of a client.',
      { retryAfterSeconds: Math.ceil(waitMs / 1000) },
    )
  }

  return {
    authenticate(request, reply) {
      const credentials = credentialsOf(request)
      const client = credentials && ring().authenticate(credentials.clientId, credentials.secret)
      if (client === undefined) throw refuse(request)
      calls.takeFor(client.clientId, reply.raw)
      return client
    },
  }
}

/** @throws KnellError `invalid_request` where there are two of them */
function credentialsOf(request: FastifyRequest): Credentials | undefined {
  const form = formOf(request)
  const [clientId, secret] = [form.get('client_id'), form.get('client_secret')]
  const { authorization } = request.headers
  if (authorization === undefined) return clientId === undefined ? undefined : { clientId, secret }
  if (secret !== undefined) {
    throw new KnellError(
      'invalid_request',
      'Send the secret of the client either in the header or in the body.',
    )
  }
  const basic = basicOf(authorization)
  if (basic !== undefined && clientId !== undefined && clientId !== basic.clientId) {
    throw new KnellError('invalid_request', 'The header and the body name two different clients.')
  }
  return basic
}

/** HTTP Basic (RFC 7617) with both parts encoded as in a form (RFC 6749, section 2.3.1). */
function basicOf(authorization: string): Credentials | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  const [id = '', ...rest] = Buffer.from(encoded, 'base64').toString('latin1').split(':')
  try {
    const [clientId, secret] = [formDecode(id), formDecode(rest.join(':'))]
    return { clientId, secret: secret || undefined }
  } catch {
    return undefined
  }
}
