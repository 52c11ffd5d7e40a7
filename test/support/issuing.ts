import { randomBytes } from 'node:crypto'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { readUnverified } from '../../shared/tokens/read-unverified.ts'
import { call, createSystem, type Answer, type TestSystem } from './system.ts'

export const ISSUER = 'https://id.example'

type Env = Readonly<Record<string, string>>

/** A system that issues tokens. */
export function createIssuingSystem(env: Env = {}): TestSystem {
  return createSystem({
    ISSUER,
    ISSUER_ENABLED: '1',
    KEY_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    ...env,
  })
}

/** What a login or a refresh answered. */
export interface Tokens {
  readonly access: string
  readonly refresh: string
  readonly sid: string
  readonly claims: Readonly<Record<string, unknown>>
}

export function tokensOf({ status, body }: Answer): Tokens {
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`)
  const access = String(body['access_token'])
  return {
    access,
    refresh: String(body['refresh_token']),
    sid: String(body['sid']),
    claims: readUnverified(access).claims,
  }
}

/** The calls of a login service. */
export class LoginService {
  readonly #apiKey: string

  constructor({ apiKey }: TestSystem) {
    this.#apiKey = apiKey
  }

  ask(to: KnellProcess, path: string, body: unknown): Promise<Answer> {
    return call(to, this.#apiKey, path, body)
  }

  async login(to: KnellProcess, more: object = {}): Promise<Tokens> {
    const grant = { sub: 'alice', client_id: 'web', aud: 'api' }
    return tokensOf(await this.ask(to, '/v1/sessions', { ...grant, ...more }))
  }

  refresh(to: KnellProcess, refreshToken: string, more: object = {}): Promise<Answer> {
    return this.ask(to, '/v1/sessions/refresh', { refreshToken, client_id: 'web', ...more })
  }

  lookUp(to: KnellProcess, refreshToken: string, more: object = {}): Promise<Answer> {
    return this.ask(to, '/v1/sessions/lookup', { refreshToken, client_id: 'web', ...more })
  }

  async revoke(to: KnellProcess, match: object, more: object = {}): Promise<Answer> {
    return this.ask(to, '/v1/revocations', { match, ...more })
  }
}
