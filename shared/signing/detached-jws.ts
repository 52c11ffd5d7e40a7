/**
 * A detached JWS in compact form (RFC 7515, appendix F) over bytes that are not encoded (RFC 7797):
 * `<protected header>..<signature>`, the signing input being the header, a dot and the exact bytes.
 */

/** The property header of a message that carries its signature. */
export const SIGNATURE_HEADER = 'knell-signature'

/**
 * What is signed; `partial` is some events of an entry, sent to one service again. It stands in the header's `typ`, behind the namespace, so that no signature can be
 * taken for one of another kind or of another system with the same keys (RFC 8725, section 3.11).
 */
export type SignedKind = 'entry' | 'partial' | 'beat' | 'page' | 'snapshot' | 'decision'

export interface ProtectedHeader {
  readonly alg: string
  readonly kid: string
  readonly typ: string
}

export const KID: RegExp = /^[A-Za-z0-9._-]{1,128}$/
/** A header of ours has at most some 300 characters. */
const JWS = /^([A-Za-z0-9_-]{2,1024})\.\.([A-Za-z0-9_-]{86})$/

export function typOf(namespace: string, kind: SignedKind): string {
  return `${namespace}.${kind}`
}

/** What is signed: the header as it travels, a dot, and the bytes as they travel. */
export function signingInput(header: string, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${header}.`, 'latin1'), bytes])
}

export function writeHeader({ alg, kid, typ }: ProtectedHeader): string {
  const header = { alg, kid, typ, b64: false, crit: ['b64'] }
  return Buffer.from(JSON.stringify(header)).toString('base64url')
}

/** The two parts of a signature as they travel, or undefined for whatever is none. */
export function splitJws(text: string): { header: string; signature: string } | undefined {
  const [, header, signature] = JWS.exec(text) ?? []
  return header === undefined || signature === undefined ? undefined : { header, signature }
}

/** Reads a header as it travels; undefined for any that is not of the one form known here. Never throws. */
export function readHeader(encoded: string): ProtectedHeader | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { alg, kid, typ, b64, crit } = value as Record<string, unknown>
  // Any other `crit` names an extension that must be understood, and is not (RFC 7515, section 4.1.11).
  const plain = b64 === false && Array.isArray(crit) && crit.length === 1 && crit[0] === 'b64'
  if (!plain || typeof alg !== 'string' || typeof kid !== 'string' || typeof typ !== 'string') {
    return undefined
  }
  return { alg, kid, typ }
}
