import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

/**
 * Whom one side of a TLS connection trusts, and what it shows, as PEM. There is no member that turns
 * verification off.
 */
export interface TlsIdentity {
  /** The authorities that are trusted, instead of those that Node trusts. */
  readonly ca?: string | undefined
  /** Its own certificate, and those that lead from it to an authority, in this order. */
  readonly cert?: string | undefined
  /** The private key of `cert`, not encrypted. */
  readonly key?: string | undefined
}

export interface IdentityProblem {
  readonly member: keyof TlsIdentity
  readonly problem: string
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----/g

/** The certificates of a PEM, or undefined where it holds none, or one that cannot be read. */
export function certificatesIn(pem: string): readonly X509Certificate[] | undefined {
  const found = pem.match(CERTIFICATE) ?? []
  try {
    return found.length === 0 ? undefined : found.map((one) => new X509Certificate(one))
  } catch {
    return undefined
  }
}

/** Everything that is wrong with an identity. The texts hold nothing of a key. */
export function problemsOfIdentity({ ca, cert, key }: TlsIdentity): readonly IdentityProblem[] {
  const problems: IdentityProblem[] = []
  const note = (member: keyof TlsIdentity, problem: string): void =>
    void problems.push({ member, problem })
  if (ca !== undefined && !certificatesIn(ca)) note('ca', NO_CERTIFICATE)
  const [own] = (cert === undefined ? undefined : certificatesIn(cert)) ?? []
  if (cert !== undefined && !own) note('cert', NO_CERTIFICATE)
  if (cert !== undefined && key === undefined) note('key', 'the certificate needs its key')
  const found = key === undefined ? undefined : readKey(key)
  if (typeof found === 'string') note('key', found)
  else if (found && cert === undefined) note('cert', 'the key needs its certificate')
  else if (found && own && !own.checkPrivateKey(found)) {
    note('key', 'it is not the key of the certificate')
  }
  if (problems.length > 0) return problems
  try {
    createSecureContext({ ca, cert, key })
  } catch (error) {
    // Such as a key that is too short, or a signature that is too weak.
    const { reason = 'unknown reason' } = error as { reason?: string }
    note('cert', `OpenSSL does not take it (${reason})`)
  }
  return problems
}

const NO_CERTIFICATE = 'there is no certificate in PEM in it'

/** OpenSSL's own messages help nobody, so they are not passed on. */
function readKey(pem: string): ReturnType<typeof createPrivateKey> | string {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(pem)) {
    return 'the key is encrypted; give it without a passphrase'
  }
  try {
    return createPrivateKey(pem)
  } catch {
    return 'there is no private key in PEM in it'
  }
}
