import { createHmac, generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto'
import type { ErrorCode } from '../../../shared/domain/errors.ts'
import { parseRefreshToken } from '../../../shared/domain/refresh-token.ts'
import { readOwnKey } from '../../../shared/issuer/own-key.ts'
import { toSeenToken } from '../../../shared/issuer/seen-tokens.ts'
import { parsePrivateJwk } from '../../../shared/keys/fresh-key.ts'
import { readPinnedKeys, readSigningKeys } from '../../../shared/signing/event-keys.ts'
import { createKeySet } from '../../../shared/tokens/key-set.ts'
import { createLogoutVerifier, LOGOUT_EVENT } from '../../../shared/tokens/logout-token.ts'
import { readPublicKeys } from '../../../shared/tokens/public-keys.ts'
import { createVerifier, readUnverified } from '../../../shared/tokens/verifier.ts'
import { isRecord } from '../../../shared/domain/entry.ts'
import { readCredentials } from '../../../shared/frameworks/credentials.ts'
import type { ParserCase } from './messages.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const secret = Buffer.alloc(32, 7)
const ISSUER = 'https://issuer.example'
const NOW = 1_800_000_000

const jwks = {
  keys: [
    { ...ec.publicKey.export({ format: 'jwk' }), kid: 'e', alg: 'ES256', use: 'sig' },
    { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'r', alg: 'RS256' },
    { kty: 'oct', k: secret.toString('base64url'), kid: 'h', alg: 'HS256' },
  ],
}
const privateJwks: readonly JsonWebKey[] = [
  { ...ec.privateKey.export({ format: 'jwk' }), kid: 'e', alg: 'ES256' },
  { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'r' },
  { kty: 'oct', k: secret.toString('base64url'), kid: 'h' },
]
const pem = ec.publicKey.export({ format: 'pem', type: 'spki' }).toString()

/** Signs any bytes as header and payload, so that what is behind the signature is reached. */
function jwsOf(header: Uint8Array, payload: Uint8Array, alg: string): string {
  const input = `${Buffer.from(header).toString('base64url')}.${Buffer.from(payload).toString('base64url')}`
  const bytes = Buffer.from(input)
  const signature =
    alg === 'ES256'
      ? sign('sha256', bytes, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })
      : alg === 'RS256'
        ? sign('sha256', bytes, rsa.privateKey)
        : createHmac('sha256', secret).update(bytes).digest()
  return `${input}.${signature.toString('base64url')}`
}

const heads: readonly string[] = [
  '{"alg":"ES256","kid":"e","typ":"JWT"}',
  '{"alg":"RS256","kid":"r"}',
  '{"alg":"HS256","kid":"h"}',
]
const payloads: readonly string[] = [
  JSON.stringify({ iss: ISSUER, sub: 'a', jti: 'j', aud: ['shop'], iat: NOW - 5, exp: NOW + 600 }),
  JSON.stringify({
    iss: ISSUER,
    sid: 's',
    jti: 'j',
    aud: 'shop',
    iat: NOW - 5,
    exp: NOW + 120,
    events: { [LOGOUT_EVENT]: {} },
  }),
]
const algs = ['ES256', 'RS256', 'HS256']
const tokens = heads.flatMap((head, index) =>
  payloads.map((payload) => jwsOf(Buffer.from(head), Buffer.from(payload), algs[index] ?? '')),
)

const TOKEN: readonly ErrorCode[] = [
  ...(['token_malformed', 'token_too_large', 'token_alg_refused', 'token_header_refused'] as const),
  ...(['token_unknown_key', 'token_signature_invalid', 'token_wrong_issuer'] as const),
  ...(['token_wrong_audience', 'token_wrong_type', 'token_claims_invalid'] as const),
  ...(['token_not_yet_valid', 'token_expired'] as const),
]
const verifier = createVerifier({ keys: jwks, issuer: ISSUER })
const keys = createKeySet(jwks)
const logout = createLogoutVerifier({ keys, issuer: ISSUER, audience: ['shop'] })

/** What is taken for good must be one of the tokens that were signed, to the byte. */
function onlyOriginals<T>(verify: (token: string) => T): (bytes: Buffer) => T {
  return (bytes) => {
    const token = bytes.toString('latin1')
    const verified = verify(token)
    if (!tokens.includes(token)) throw new Error('An altered token was taken for good.')
    return verified
  }
}

function text<T>(parse: (text: string) => T): (bytes: Buffer) => T {
  return (bytes) => parse(bytes.toString('utf8'))
}

/** JSON of any kind; what is none is nothing for a reader of values. */
function value(parse: (value: unknown) => unknown): (bytes: Buffer) => unknown {
  return text((json) => {
    let found: unknown
    try {
      found = JSON.parse(json)
    } catch {
      return undefined
    }
    return parse(found)
  })
}

const setText = JSON.stringify(jwks)
const listText = JSON.stringify([
  { kid: 'p', pem },
  { jwk: jwks.keys[0] },
  { secret: 's'.repeat(32) },
])
const withKid = JSON.stringify({ keys: privateJwks.slice(0, 1) })

export const tokenParsers: readonly ParserCase[] = [
  { name: 'readUnverified', corpus: tokens, parse: text(readUnverified), codes: TOKEN },
  {
    name: 'verify of a token',
    corpus: tokens,
    parse: onlyOriginals((token) => verifier.verify(token, { now: NOW })),
    codes: TOKEN,
  },
  {
    name: 'verify of a signed payload',
    corpus: payloads,
    parse: (payload) =>
      verifier.verify(jwsOf(Buffer.from(heads[0] ?? ''), payload, 'ES256'), { now: NOW }).claims,
    codes: TOKEN,
  },
  {
    name: 'verify of a signed header',
    corpus: heads,
    parse: (head) =>
      verifier.verify(jwsOf(head, Buffer.from(payloads[0] ?? ''), 'ES256'), { now: NOW }).header,
    codes: TOKEN,
  },
  {
    name: 'verify of a logout token',
    corpus: payloads,
    parse: (payload) =>
      logout.verify(jwsOf(Buffer.from(heads[0] ?? ''), payload, 'ES256'), { now: NOW }),
    codes: TOKEN,
  },
  {
    name: 'toSeenToken',
    corpus: tokens,
    parse: text((token) => toSeenToken(token, NOW)),
    codes: [],
  },
  {
    name: 'createKeySet',
    corpus: [setText, listText],
    parse: text((json) => createKeySet(json).algorithms),
    codes: ['config_invalid'],
  },
  {
    name: 'readPublicKeys',
    corpus: [setText],
    parse: value((set) => {
      const published = isRecord(set) && Array.isArray(set['keys']) ? set['keys'] : []
      return readPublicKeys({ keys: published }, ['ES256', 'RS256']).problems
    }),
    codes: [],
  },
  {
    name: 'readSigningKeys',
    corpus: [withKid],
    parse: text((json) => readSigningKeys(json).length),
    codes: ['config_invalid'],
  },
  {
    name: 'readPinnedKeys',
    corpus: [setText, JSON.stringify([{ kid: 'p', pem }])],
    parse: text((json) => readPinnedKeys(json).length),
    codes: ['config_invalid'],
  },
  {
    name: 'parsePrivateJwk',
    corpus: privateJwks.map((jwk) => JSON.stringify(jwk)),
    parse: value((jwk) => (isRecord(jwk) ? parsePrivateJwk(jwk) : undefined)),
    codes: ['invalid_request'],
  },
  {
    name: 'readOwnKey',
    corpus: privateJwks.slice(0, 2).map((jwk) => JSON.stringify({ jwk })),
    parse: value((input) => (isRecord(input) ? readOwnKey(input).alg : undefined)),
    codes: ['config_invalid'],
  },
  {
    name: 'parseRefreshToken',
    corpus: [`kr1.${'a'.repeat(22)}.12.${'b'.repeat(43)}`],
    parse: text(parseRefreshToken),
    codes: [],
  },
  {
    name: 'readCredentials',
    corpus: tokens.map((token) => `Bearer ${token}`),
    parse: text((authorization) => readCredentials({ headers: { authorization } })),
    codes: [],
  },
]
