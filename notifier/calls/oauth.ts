import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'
import { introspectTakes } from '../issuer/introspect.ts'
import { revokeTakes } from '../issuer/revoke.ts'
import { tokenTakes } from '../issuer/token-endpoint.ts'

const audience = z.union([z.string(), z.array(z.string())])
const methods = z.array(z.string())

/** Served where ISSUER_ENABLED is 1. */
export const oauthCalls: readonly Call[] = [
  {
    call: 'POST /oauth/token',
    id: 'refreshToken',
    servedBy: NOTIFIER,
    summary: 'Refreshes a session of the client’s own (RFC 6749, section 6)',
    description:
      'Of the grants only refresh_token. Each use of a refresh token rotates it. Errors are also invalid_grant, invalid_scope and unsupported_grant_type.',
    scopes: [],
    clients: 'any',
    ...tokenTakes['POST /oauth/token'],
    answers: {
      200: json(
        'The next access token and refresh token.',
        z.object({
          access_token: z.string(),
          token_type: z.literal('Bearer'),
          expires_in: part.count,
          refresh_token: z.string(),
          refresh_expires_in: part.count.optional(),
          scope: z.string().optional(),
        }),
      ),
    },
  },
  {
    call: 'POST /oauth/revoke',
    id: 'revokeToken',
    servedBy: NOTIFIER,
    summary: 'Ends a token of the client’s own, or the session of its refresh token (RFC 7009)',
    description:
      'The answer is the same for a token that is not the client’s, or none at all. An error is also unsupported_token_type, for a token without jti.',
    scopes: [],
    clients: 'any',
    ...revokeTakes['POST /oauth/revoke'],
    answers: {
      200: { description: 'The token is dead, or was no live one of the client’s.', content: {} },
    },
  },
  {
    call: 'POST /oauth/introspect',
    id: 'introspectToken',
    servedBy: NOTIFIER,
    summary: 'What a token is, and nothing of one that is not live (RFC 7662)',
    description:
      'By signature, exp and the store’s rules, with STATEFUL also by the list of issued tokens. A client needs "introspect" in CLIENTS_FILE.',
    scopes: ['feed:read'],
    clients: 'confidential',
    ...introspectTakes['POST /oauth/introspect'],
    answers: {
      200: json(
        'Whether it is active, and what it says where it is.',
        z.object({
          active: z.boolean(),
          token_type: z.enum(['Bearer', 'DPoP']).optional(),
          scope: z.string().optional(),
          client_id: z.string().optional(),
          username: z.string().optional(),
          sub: z.string().optional(),
          iss: z.string().optional(),
          aud: audience.optional(),
          jti: z.string().optional(),
          sid: z.string().optional(),
          exp: part.count.optional(),
          iat: part.count.optional(),
          nbf: part.count.optional(),
          cnf: z.record(z.string(), z.unknown()).optional(),
        }),
      ),
    },
  },
  {
    call: 'GET /.well-known/oauth-authorization-server',
    id: 'readOAuthMetadata',
    servedBy: NOTIFIER,
    summary: 'Where the calls of OAuth are (RFC 8414)',
    description:
      'For tenants whose issuer is a URL. The path of an issuer is asked for behind this one.',
    scopes: [],
    answers: {
      200: json(
        'The metadata of the tenant.',
        z.object({
          issuer: z.string(),
          jwks_uri: z.string(),
          grant_types_supported: methods,
          response_types_supported: methods,
          token_endpoint: z.string(),
          token_endpoint_auth_methods_supported: methods,
          revocation_endpoint: z.string(),
          revocation_endpoint_auth_methods_supported: methods,
          introspection_endpoint: z.string(),
          introspection_endpoint_auth_methods_supported: methods,
        }),
      ),
    },
  },
]
