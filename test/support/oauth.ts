import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSystem, type Answer, type TestSystem } from './system.ts'

export const ISSUER = 'https://id.example'
export const OTHER_ISSUER = 'https://other.example/tenant'

/** Secrets of the clients of `oauthSystem`, by their ids. `web`, `app` and `api` are of the tenant `default`. */
export const secrets: Readonly<Record<'web' | 'api' | 'all' | 'foreign', string>> = {
  web: 'secret-of-web: +%&="',
  api: 'secret-of-api-0123456789',
  all: 'secret-of-all-0123456789',
  foreign: 'secret-of-foreign-0123456789',
}

export const clients: Readonly<Record<string, object>> = {
  web: { secret: secrets.web },
  app: {},
  api: {
    secret: `sha256.${createHash('sha256').update(secrets.api).digest('hex')}`,
    audiences: ['https://api.example'],
    introspect: true,
  },
  all: { secret: secrets.all, introspect: true },
  foreign: { secret: secrets.foreign, introspect: true, tenant: 'other' },
}

export interface OAuthSystem extends TestSystem {
  /** Where the files of the system are. */
  readonly folder: string
  readonly clientsFile: string
}

/** Processes that issue tokens for two tenants, with OAuth clients. */
export function oauthSystem(settings: Readonly<Record<string, string>> = {}): OAuthSystem {
  const folder = mkdtempSync(join(tmpdir(), 'knell-oauth-'))
  const clientsFile = join(folder, 'clients.json')
  writeFileSync(clientsFile, JSON.stringify(clients))
  const tenantsFile = join(folder, 'tenants.json')
  const tenants = { default: { issuer: ISSUER }, other: { issuer: OTHER_ISSUER } }
  writeFileSync(tenantsFile, JSON.stringify(tenants))
  const system = createSystem({
    TENANTS_FILE: tenantsFile,
    CLIENTS_FILE: clientsFile,
    ISSUER_ENABLED: '1',
    KEY_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    ...settings,
  })
  return {
    ...system,
    folder,
    clientsFile,
    async stop() {
      await system.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

type Form = Readonly<Record<string, string>> | string

/** Posts a form. */
export async function postForm(
  { url }: { readonly url: string },
  path: string,
  form: Form,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer & { readonly text: string }> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      connection: 'close',
      ...headers,
    },
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  })
  const text = await response.text()
  const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  return { status: response.status, body, headers: response.headers, text }
}

/** A client's credentials as HTTP Basic (RFC 6749, section 2.3.1). */
export function basicOf(id: string, secret: string): { readonly authorization: string } {
  const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
  return { authorization: `Basic ${btoa(`${encode(id)}:${encode(secret)}`)}` }
}
