import type { FetchImplementation } from 'jose/jwks/remote'
import { KnellError } from '../domain/errors.ts'

/** Some hundred RSA keys. Providers publish two to ten. */
const MAX_BYTES = 131_072

/** What one fetch brought. */
export interface FetchedJwks {
  readonly jwks: { readonly keys: readonly unknown[] }
  /** For how long the provider says that it may be kept (`Cache-Control: max-age`), in ms. */
  readonly maxAgeMs: number | undefined
}

/**
 * Makes what fetches a provider's JWK set: one call at a time, no redirect followed, at most 128 KiB.
 * @throws KnellError `keys_unavailable` where no JWK set comes in time
 */
export function createJwksFetch(url: URL, timeoutMs: number): () => Promise<FetchedJwks> {
  let maxAgeMs: number | undefined
  const fetchBounded: FetchImplementation = async (address, options) => {
    // A fetch in ten minutes is not worth a connection that is kept.
    options.headers.set('connection', 'close')
    const response = await fetch(address, options)
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`the answer was ${response.status}`)
    }
    maxAgeMs = maxAgeOf(response.headers.get('cache-control') ?? '')
    return new Response(await readBounded(response))
  }
  // Loaded by who fetches: a service whose keys are in its hands would wait for it at every start.
  const loaded = async () => {
    const { createRemoteJWKSet, customFetch } = await import('jose/jwks/remote')
    return createRemoteJWKSet(url, { timeoutDuration: timeoutMs, [customFetch]: fetchBounded })
  }
  let remoteSet: ReturnType<typeof loaded> | undefined
  return async () => {
    remoteSet ??= loaded()
    const remote = await remoteSet
    try {
      await remote.reload()
    } catch (cause) {
      const text = `${url.origin + url.pathname} gave no JWK set: ${whyOf(cause)}.`
      throw new KnellError('keys_unavailable', text, { cause })
    }
    return { jwks: remote.jwks() ?? { keys: [] }, maxAgeMs }
  }
}

async function readBounded(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > MAX_BYTES) throw new Error(`the answer has more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function maxAgeOf(cacheControl: string): number | undefined {
  if (/\bno-(?:store|cache)\b/i.test(cacheControl)) return 0
  const seconds = /\bmax-age="?(\d{1,9})/i.exec(cacheControl)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}

/** What went wrong underneath says more than that the fetch failed. */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = (error.cause ?? {}) as { code?: unknown }
  return typeof code === 'string' ? `${error.message} (${code})` : error.message
}
