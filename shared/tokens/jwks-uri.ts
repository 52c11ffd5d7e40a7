import { KnellError } from '../domain/errors.ts'

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/**
 * Where a provider publishes its keys (`jwks_uri`). Whoever can change what comes from there can mint
 * tokens, so it is `https://`; `http://` only of this machine.
 * @throws KnellError `config_invalid`
 */
export function parseJwksUri(value: unknown): URL {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  const isSafe =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.test(url.hostname))
  if (url !== undefined && isSafe && url.username === '' && url.password === '') return url
  throw new KnellError(
    'config_invalid',
    'expected an https:// URL without credentials (http:// only of this machine)',
  )
}
