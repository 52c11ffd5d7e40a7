import type { IncomingHttpHeaders } from 'node:http'

/** The header that every call of the dashboard's own code brings; another origin's page may not set it. */
const VIA_HEADER = 'knell-via'

/**
 * Whether the dashboard itself sent a request with its cookie. The cookie is `SameSite=Strict`, which
 * still lets other origins of the same site in, so: a browser says in `Sec-Fetch-Site`, which no page
 * can forge, where a request comes from (Fetch Metadata); one that does not, names another `Origin`.
 * Whoever wants to do more than look must also bring a header that makes another origin ask first (CORS).
 */
export function isSameOrigin(headers: IncomingHttpHeaders, mustBringHeader: boolean): boolean {
  if (mustBringHeader && headers[VIA_HEADER] !== 'ops') return false
  const site = headers['sec-fetch-site']
  // `none`: an address that somebody typed.
  if (site !== undefined) return site === 'same-origin' || (site === 'none' && !mustBringHeader)
  const { origin, host } = headers
  if (origin === undefined) return true
  return URL.canParse(origin) && new URL(origin).host === host
}
