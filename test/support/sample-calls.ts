import { randomBytes } from 'node:crypto'
import { LOGOUT_EVENT } from '../../shared/tokens/logout-token.ts'
import type { Asked } from './contract-client.ts'
import type { Issuer } from './issuer.ts'
import { now, oldToken } from './system.ts'

/** Who signs the tokens of the samples, and how an OAuth client authenticates. */
interface Parts {
  readonly issuer: Issuer
  readonly basic: { readonly authorization: string }
}

const logoutToken = (issuer: Issuer): string =>
  issuer.token('lena', {
    aud: 'shop',
    iat: now(),
    exp: now() + 120,
    events: { [LOGOUT_EVENT]: {} },
  })

/** A good call of each operation, for whoever has the right scope; made when it is needed, for tokens grow old. */
export const createSamples = ({
  issuer,
  basic,
}: Parts): Readonly<Record<string, readonly Asked[]>> => ({
  'POST /v1/tokens': [
    { body: { claims: { jti: 'c', exp: now() + 600 } } },
    { body: { token: issuer.token('tess') } },
  ],
  'POST /v1/revocations': [
    { body: { match: { sub: 'sample' }, dryRun: true } },
    { body: { match: { client_id: 'sample' }, dryRun: true } },
  ],
  'POST /v1/revocations/release': [{ body: { match: { sub: 'x' }, force: true, dryRun: true } }],
  'POST /v1/revocations/restore': [{ body: { match: { sub: 'x' }, force: true, dryRun: true } }],
  'GET /v1/schedules': [{}],
  'DELETE /v1/schedules': [{ query: { id: `s0-${'0'.repeat(20)}` } }],
  'GET /v1/revocations': [{}, { query: { sub: 'alice' } }],
  'PUT /v1/max-token-ttl': [{ body: { maxTokenTtl: '24h' } }],
  'POST /v1/check': [{ body: { claims: { sub: 'alice', ...oldToken() }, header: {} } }],
  'GET /v1/snapshot': [{}],
  'GET /v1/feed': [{}, { query: { after: '0-0,0-0,0-0,0-0', limit: '3', waitMs: '0' } }],
  'GET /v1/dead': [{ query: { service: 'orders', limit: '1' } }],
  'POST /v1/dead/replay': [{ body: { service: 'orders', all: true } }],
  'POST /v1/acks': [{ body: [] }],
  'GET /v1/subscribers': [{}],
  'DELETE /v1/subscribers': [{ query: { service: 'nobody', instance: 'i' } }],
  'GET /v1/sweeps': [{ query: { limit: '5' } }],
  'GET /v1/queues': [{}],
  'POST /v1/sweeps': [{}, { body: { wait: true } }],
  'GET /v1/due': [{}],
  'GET /v1/recent': [{ query: { limit: '5' } }],
  'GET /v1/overview': [{}],
  'GET /metrics': [{}],
  'GET /v1/audit': [{ query: { limit: '10' } }, { headers: { accept: 'application/x-ndjson' } }],
  'POST /v1/sessions': [
    { body: { sub: 'sam', client_id: 'web', aud: 'api', scope: 'a b', claims: { roles: ['x'] } } },
  ],
  'POST /v1/sessions/lookup': [{ body: { refreshToken: 'unknown', client_id: 'web' } }],
  'POST /v1/sessions/refresh': [{ body: { refreshToken: 'unknown', client_id: 'web' } }],
  'POST /v1/sessions/end': [{ body: { sid: 'sample', reason: 'logout' } }],
  'GET /v1/keys': [{}],
  'POST /v1/keys': [
    { body: { kid: 'own-1', jwk: { kty: 'oct', k: randomBytes(32).toString('base64url') } } },
  ],
  'POST /v1/keys/rotate': [{ body: { force: true } }],
  'POST /v1/keys/revoke': [{ body: { kid: 'unknown' } }],
  'GET /.well-known/jwks.json': [{}, { query: { tenant: 'default' } }],
  'POST /v1/backchannel-logout': [
    { form: { logout_token: logoutToken(issuer) } },
    { query: { tenant: 'default' }, form: { logout_token: 'x' } },
  ],
  'POST /oauth/token': [
    { form: { grant_type: 'refresh_token', refresh_token: 'unknown' }, headers: basic },
  ],
  'POST /oauth/revoke': [{ form: { token: 'unknown' }, headers: basic }],
  'POST /oauth/introspect': [{ form: { token: issuer.token('ina') } }],
  'GET /.well-known/oauth-authorization-server': [{}],
  'GET /livez': [{}],
  'GET /readyz': [{}],
})
