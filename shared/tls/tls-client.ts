import { createSecureContext, type SecureContext } from 'node:tls'
import type { TlsIdentity } from './tls-identity.ts'

/** The client's side of TLS connections to one kind of server. */
export interface TlsClient {
  /** For `tls.connect`, and for whatever hands its options on to it. */
  readonly options: { readonly secureContext: SecureContext; readonly rejectUnauthorized: true }
  /** Whether it has a certificate to show. */
  readonly hasCertificate: boolean
  /** Connections made from now on show and trust this instead; those that stand are left alone. */
  renew(identity: TlsIdentity): void
}

/**
 * Makes the client's side of TLS. Without `ca` it trusts whom Node trusts, `NODE_EXTRA_CA_CERTS`
 * included. The certificate and the host name of the server are always verified, even where
 * `NODE_TLS_REJECT_UNAUTHORIZED=0` is set.
 * @throws Error where the identity is not in order; `problemsOfIdentity` says so beforehand
 */
export function createTlsClient(identity: TlsIdentity = {}): TlsClient {
  const secureContext = contextOf(identity)
  let hasCertificate = identity.cert !== undefined
  return {
    options: { secureContext, rejectUnauthorized: true },
    get hasCertificate() {
      return hasCertificate
    },
    renew(next) {
      // The libraries copy their options once, but never what is in them: so connections made later see it.
      secureContext.context = contextOf(next).context as unknown
      hasCertificate = next.cert !== undefined
    },
  }
}

function contextOf({ ca, cert, key }: TlsIdentity): SecureContext {
  return createSecureContext({ ca, cert, key })
}
