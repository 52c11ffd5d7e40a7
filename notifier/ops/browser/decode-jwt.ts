/** What of a token is looked at: never its signature. */
export interface DecodedToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

const JWT = /^(?:Bearer\s+)?([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/i

/** Whether a text is a JWT, or part of one: it must not go anywhere. */
export function looksLikeToken(text: string): boolean {
  return /eyJ[A-Za-z0-9_-]{5,}/.test(text)
}

/** Reads the header and the claims of a JWT (RFC 7519) here in the browser; undefined where it is none. Verifies nothing. */
export function decodeJwt(text: string): DecodedToken | undefined {
  const found = JWT.exec(text.trim())
  const [header, claims] = [found?.[1], found?.[2]].map(readPart)
  return header === undefined || claims === undefined ? undefined : { header, claims }
}

function readPart(part: string | undefined): Record<string, unknown> | undefined {
  if (part === undefined) return undefined
  try {
    const binary = atob(part.replaceAll('-', '+').replaceAll('_', '/'))
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0))
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** What of a token is sent to be judged: claims that a rule can name, and the header's `kid`. */
export function toAsk({ header, claims }: DecodedToken): {
  claims: Record<string, unknown>
  header: Record<string, unknown>
} {
  const sent = Object.entries(claims).filter(
    ([name, value]) => name === 'aud' || ['string', 'number', 'boolean'].includes(typeof value),
  )
  const { kid } = header
  return { claims: Object.fromEntries(sent), header: kid === undefined ? {} : { kid } }
}
