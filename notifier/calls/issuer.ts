import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'
import { jwksTakes } from '../issuer/jwks.ts'
import { keyTakes } from '../issuer/keys.ts'
import { refreshTakes } from '../issuer/refresh-routes.ts'
import { sessionTakes } from '../issuer/sessions.ts'

const key = z.object({
  kid: z.string(),
  alg: z.enum(['ES256', 'RS256', 'HS256']),
  state: z.enum(['next', 'active', 'retiring', 'retired', 'revoked']),
  createdAt: part.date,
  activeAt: part.date.optional(),
  endedAt: part.date.optional(),
  retiresAt: part.date.optional(),
})
const tokens = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: part.count,
  scope: z.string().optional(),
  sid: z.string().optional(),
  jti: z.string(),
})
const refreshed = tokens.extend({ refresh_token: z.string(), refresh_expires_in: part.count })
const session = z.object({
  sub: z.string(),
  client_id: z.string(),
  sid: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  scope: z.string().optional(),
  claims: z.record(z.string(), z.unknown()).optional(),
  startedAt: part.date,
  endsAt: part.date,
})
const refusals = [
  'refresh_token_invalid',
  'refresh_token_reused',
  'session_ended',
  'session_revoked',
  'session_held',
  'no_verification_key',
] as const
const ring = z.object({ tenant: part.tenant, keys: z.array(key) })
const jwks = z.object({ keys: z.array(z.record(z.string(), z.unknown())) })
const jwksAnswer: Call['answers'] = {
  200: {
    description: 'The public keys that verify, and the next one (RFC 7517, section 5).',
    content: { 'application/jwk-set+json': jwks },
  },
}

/** Served where ISSUER_ENABLED is 1. */
export const issuerCalls: readonly Call[] = [
  {
    call: 'POST /v1/sessions',
    id: 'beginSession',
    servedBy: NOTIFIER,
    summary: 'Begins a session for a user who has logged in: an access token, and a refresh token',
    description:
      'Only with ISSUER_ENABLED. The access token is of RFC 9068, the answer of RFC 6749, section 5.1. With refresh false there is no refresh token.',
    scopes: ['tokens:issue'],
    ...sessionTakes['POST /v1/sessions'],
    answers: {
      201: json('The token.', z.union([refreshed, tokens])),
    },
    codes: [
      'session_exists',
      'grant_refused',
      'no_verification_key',
      'token_too_long_lived',
      'quota_exceeded',
    ],
  },
  {
    call: 'POST /v1/sessions/lookup',
    id: 'lookUpSession',
    servedBy: NOTIFIER,
    summary: 'The session of a refresh token that is good now; rotates nothing',
    description:
      'For whoever decides whether it may go on. A used token ends its session here too.',
    scopes: ['tokens:issue'],
    ...refreshTakes['POST /v1/sessions/lookup'],
    answers: { 200: json('Whose it is, and what its tokens say.', session) },
    codes: refusals,
  },
  {
    call: 'POST /v1/sessions/refresh',
    id: 'refreshSession',
    servedBy: NOTIFIER,
    summary: 'Rotates a refresh token: another access token, and the refresh token that follows',
    description:
      'Sent again within REFRESH_GRACE it answers the same refresh token; later, the session ends. claims replace those that the tokens of the session have had so far.',
    scopes: ['tokens:issue'],
    ...refreshTakes['POST /v1/sessions/refresh'],
    answers: { 200: json('The tokens.', refreshed) },
    codes: [
      ...refusals,
      'invalid_scope',
      'grant_refused',
      'token_too_long_lived',
      'quota_exceeded',
    ],
  },
  {
    call: 'POST /v1/sessions/end',
    id: 'endSession',
    servedBy: NOTIFIER,
    summary:
      'Ends a session by its sid or a refresh token: revokes the sid, for logout where nothing is said',
    scopes: ['tokens:issue'],
    headers: ['knell-via'],
    ...refreshTakes['POST /v1/sessions/end'],
    answers: {
      200: json(
        'The revocation of the sid.',
        z.object({
          id: z.string(),
          sid: z.string(),
          shard: part.shard,
          epoch: part.epoch,
          seq: part.seq,
          issuedBefore: part.dateOrNull,
          until: part.dateOrNull,
        }),
      ),
    },
    codes: ['refresh_token_invalid'],
  },
  {
    call: 'GET /v1/keys',
    id: 'listKeys',
    servedBy: NOTIFIER,
    summary: 'The signing keys of a tenant, without anything secret',
    scopes: ['ops:read', 'keys:write'],
    ...keyTakes['GET /v1/keys'],
    answers: { 200: json('Oldest first.', ring) },
    codes: ['no_verification_key'],
  },
  {
    call: 'POST /v1/keys',
    id: 'addKey',
    servedBy: NOTIFIER,
    summary: 'Takes a private key or secret made elsewhere as the next one',
    description:
      'A JWK with its private part: EC on P-256, RSA of at least 2048 bits, or a secret of at least 32 bytes.',
    scopes: ['keys:write'],
    headers: ['knell-via'],
    ...keyTakes['POST /v1/keys'],
    answers: { 201: json('The keys as they now are.', ring) },
    codes: ['no_verification_key'],
  },
  {
    call: 'POST /v1/keys/rotate',
    id: 'rotateKey',
    servedBy: NOTIFIER,
    summary: 'Lets the next key sign from now on; the last one goes on verifying',
    scopes: ['keys:write'],
    headers: ['knell-via'],
    ...keyTakes['POST /v1/keys/rotate'],
    answers: { 200: json('The keys as they now are.', ring) },
    codes: ['no_verification_key', 'key_too_new', 'too_many_keys'],
  },
  {
    call: 'POST /v1/keys/revoke',
    id: 'revokeKey',
    servedBy: NOTIFIER,
    summary: 'Ends a key and kills every token it has signed; another key signs',
    scopes: ['keys:write'],
    headers: ['knell-via'],
    ...keyTakes['POST /v1/keys/revoke'],
    answers: {
      200: json(
        'The keys as they now are, and the revocation of the kid.',
        ring.extend({
          revocation: z.object({
            id: z.string(),
            shard: part.shard,
            epoch: part.epoch,
            seq: part.seq,
          }),
        }),
      ),
    },
    codes: ['no_verification_key', 'unknown_key'],
  },
  {
    call: 'GET /.well-known/jwks.json',
    id: 'readJwks',
    servedBy: NOTIFIER,
    summary: 'The public keys of a tenant, of “default” where none is named',
    scopes: [],
    ...jwksTakes['GET /.well-known/jwks.json'],
    answers: jwksAnswer,
  },
]
