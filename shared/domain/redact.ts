/** Parts of base64url with dots between them, as long as they go on: a JWT has three (RFC 7519), an encrypted one five. */
const DOTTED = /[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)+/g
const MAX_PARTS = 5

/** What is left of a JWT whose header was cut at its end, by how most of them begin. */
const BEGUN = /eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,4}/g

/** What every JWT has: a part before a dot that is long enough to be an object. */
const LONG_PART = /[A-Za-z0-9_-]{4}\./

/**
 * Whether there may be anything to redact in a text, or in the JSON text of a value: JSON writes the
 * letters of a JWT as they are. Far cheaper than redacting, and never wrong about a no.
 */
export function mayHold(text: string, secret?: string): boolean {
  if (LONG_PART.test(text)) return true
  return secret !== undefined && text.includes(JSON.stringify(secret).slice(1, -1))
}

/**
 * A text with each JWT replaced by `[token]`, and the caller's own secret by `[secret]`. Callers write
 * what they like into what is kept or logged. A header may begin with any white space that JSON allows,
 * so what counts is that the part decodes to an object, wherever in a longer run of letters it begins.
 */
export function redact(text: string, secret?: string): string {
  const safe = text.includes('.')
    ? text.replaceAll(DOTTED, withoutTokens).replaceAll(BEGUN, '[token]')
    : text
  return secret === undefined || secret === '' ? safe : safe.replaceAll(secret, '[secret]')
}

/** The same for every text in a value of JSON, also for the names of members. */
export function redactAll(value: unknown, secret?: string): unknown {
  if (typeof value === 'string') return redact(value, secret)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item: unknown) => redactAll(item, secret))
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [redact(name, secret), redactAll(item, secret)]),
  )
}

function withoutTokens(run: string): string {
  const parts = run.split('.')
  const kept: string[] = []
  for (let i = 0; i < parts.length; i++) {
    if (i + 1 < parts.length && endsWithObject(parts[i] as string)) {
      kept.push('[token]')
      i += MAX_PARTS - 1
    } else {
      kept.push(parts[i] as string)
    }
  }
  return kept.join('.')
}

/** Whether a JSON object in base64url ends a text, whatever letters stand before it: these shift it by up to three. */
function endsWithObject(part: string): boolean {
  return [0, 1, 2, 3].some((shift) => {
    const decoded = Buffer.from(part.slice(shift), 'base64url').toString('latin1')
    return /\{\s*"/.test(decoded) && decoded.trimEnd().endsWith('}')
  })
}
