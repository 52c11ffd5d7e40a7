/** Codes of Node and OpenSSL for a server whose certificate leads to nobody that is trusted. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/**
 * Why a connection failed at TLS, as the predicate of a sentence whose subject is the server, with
 * the code of Node or OpenSSL; undefined where the reason is another.
 */
export function tlsProblemOf(error: unknown): string | undefined {
  const { code, message = '' } = (error ?? {}) as { code?: unknown; message?: string }
  if (typeof code !== 'string') return undefined
  const why = whyOf(code, message)
  return why === undefined ? undefined : `${why} (${code})`
}

function whyOf(code: string, message: string): string | undefined {
  if (UNTRUSTED.has(code)) return 'shows a certificate that no trusted authority has signed'
  if (code === 'CERT_HAS_EXPIRED') return 'shows a certificate that has expired'
  if (code === 'CERT_NOT_YET_VALID') return 'shows a certificate that is not valid yet'
  if (code === 'CERT_REVOKED') return 'shows a certificate that was revoked'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = /(Host: .+|IP: .+)$/s.exec(message)?.[1]?.replace(/[\s:]+$/, '')
    return `shows a certificate for other names${names === undefined ? '' : `: ${names}`}`
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return 'does not speak TLS on this port'
  }
  if (/ALERT_CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE/.test(code)) {
    return 'wants a client certificate that it trusts'
  }
  if (/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE|UNSUPPORTED_CERTIFICATE)/.test(code)) {
    return 'refuses our client certificate'
  }
  return /^ERR_(SSL|TLS)_/.test(code) ? 'cannot agree on TLS with us' : undefined
}
