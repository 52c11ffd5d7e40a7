import type { Claims } from '../domain/claims.ts'
import type { Reason } from '../domain/reasons.ts'

/** Whom tokens are for, and what they say. */
export interface SignGrant {
  readonly sub: string
  readonly clientId: string
  readonly aud: string | readonly string[]
  readonly sid?: string
  /** Words parted by spaces (RFC 6749, section 3.3). */
  readonly scope?: string
  /** Claims of one's own, such as roles: none that RFC 9068 or Knell gives a meaning. */
  readonly claims?: Claims
  /** The life of an access token. Default: `ACCESS_TTL`; with keys of one's own 300. */
  readonly expiresInSeconds?: number
}

export interface LoginGrant extends SignGrant {
  /** Default true. False: an access token alone. */
  readonly refresh?: boolean
}

export interface RefreshCall {
  readonly refreshToken: string
  /** The client that the session is of: another one's token is as good as none. */
  readonly clientId: string
  /** Less scope for the one access token. Never more than the session has. */
  readonly scope?: string
}

/** The session to end: by its `sid`, or by a refresh token of it. */
export type LogoutOf =
  { readonly sid: string } | { readonly refreshToken: string; readonly clientId: string }

export type LogoutOptions = { readonly reason?: Reason }

/** What a login or a refresh gives. */
export interface Tokens {
  readonly accessToken: string
  /** Seconds. */
  readonly expiresIn: number
  readonly jti: string
  readonly sid: string
  readonly scope?: string
  /** The one to use next; the one that was sent is used up. Absent where none was asked for. */
  readonly refreshToken?: string
  /** Seconds after which the session ends, however often it is refreshed. */
  readonly refreshExpiresIn?: number
}

/** A session, as the checks of a refresh see it. */
export interface Session {
  readonly sub: string
  readonly clientId: string
  readonly sid: string
  readonly aud: string | readonly string[]
  readonly scope?: string
  /** The claims of one's own that its tokens have had so far, or that an earlier check has just given. */
  readonly claims: Claims
  /** NumericDate: when the user logged in, and when the session ends at the latest. */
  readonly startedAt: number
  readonly endsAt: number
}

export function toTokens(answer: Readonly<Record<string, unknown>>): Tokens {
  const { scope, refresh_token: refreshToken } = answer
  return {
    accessToken: String(answer['access_token']),
    expiresIn: Number(answer['expires_in']),
    jti: String(answer['jti']),
    sid: String(answer['sid']),
    ...(typeof scope === 'string' && { scope }),
    ...(typeof refreshToken === 'string' && {
      refreshToken,
      refreshExpiresIn: Number(answer['refresh_expires_in']),
    }),
  }
}

export function toSession(answer: Readonly<Record<string, unknown>>): Session {
  const { scope, claims } = answer
  return {
    sub: String(answer['sub']),
    clientId: String(answer['client_id']),
    sid: String(answer['sid']),
    aud: answer['aud'] as string | readonly string[],
    ...(typeof scope === 'string' && { scope }),
    claims: (claims ?? {}) as Claims,
    startedAt: Number(answer['startedAt']),
    endsAt: Number(answer['endsAt']),
  }
}
