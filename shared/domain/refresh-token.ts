/**
 * A refresh token: `kr1.<family>.<generation>.<mac>`. To a client it is opaque. The mac proves it ours
 * and is checked elsewhere: here is only its form.
 */
export interface RefreshToken {
  /** The id of its family: 128 random bits in base64url. */
  readonly family: string
  /** Counts the rotations, from 1 on. */
  readonly generation: number
  /** HMAC-SHA256 in base64url. */
  readonly mac: string
}

/** Past it a family is not rotated any more: one rotation a second reaches it after 30 years. */
export const MAX_GENERATION = 999_999_999

const FORM = /^kr1\.([A-Za-z0-9_-]{22})\.([1-9]\d{0,8})\.([A-Za-z0-9_-]{43})$/
/** The longest text of that form. */
const MAX_LENGTH = 80

/** Undefined for whatever is no refresh token of this form, however long. */
export function parseRefreshToken(text: unknown): RefreshToken | undefined {
  if (typeof text !== 'string' || text.length > MAX_LENGTH) return undefined
  const [, family, generation, mac] = FORM.exec(text) ?? []
  if (family === undefined || generation === undefined || mac === undefined) return undefined
  return { family, generation: Number(generation), mac }
}

export function formatRefreshToken({ family, generation, mac }: RefreshToken): string {
  return `kr1.${family}.${generation}.${mac}`
}

/** What the mac is made of. Its parts hold no line feed, so no two tokens have the same. */
export function macTextOf(
  tenant: string,
  { family, generation }: Pick<RefreshToken, 'family' | 'generation'>,
  seed: string,
): string {
  return `${tenant}\n${family}\n${generation}\n${seed}`
}
