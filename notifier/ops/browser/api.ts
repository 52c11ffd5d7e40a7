/** An answer of the API: its body, or what it refused and why. */
export type Answer<T> =
  { readonly ok: true; readonly body: T } | { readonly ok: false; readonly problem: Problem }

/** A problem document (RFC 9457), or what stands for one where the call never came back. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
}

/** A hung notifier closes nothing. Longer than any call that waits for something. */
const TIMEOUT_MS = 45_000

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** Told when a call finds that the session is over. */
let onEnded: () => void = () => {}

export function whenSessionEnds(action: () => void): void {
  onEnded = action
}

/**
 * Calls the API. Never throws: what went wrong is an answer as well. The header `knell-via` is what
 * no page of another origin may send, so with it the cookie counts.
 */
export async function call<T>(method: Method, path: string, body?: unknown): Promise<Answer<T>> {
  let response: Response
  let text: string
  try {
    response = await request(method, path, body, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    text = await response.text()
  } catch {
    const detail =
      'Nothing can be reached: the notifier does not answer. It may be restarting, or the network is away.'
    return { ok: false, problem: { status: 0, code: 'unreachable', detail } }
  }
  const parsed = parse(text)
  if (response.ok) return { ok: true, body: parsed as T }
  if (response.status === 401 && path !== '/ops/session') onEnded()
  return { ok: false, problem: problemOf(parsed, response.status) }
}

/** The text of an answer as it is, such as an export. */
export async function download(path: string, accept: string): Promise<Answer<Blob>> {
  try {
    const response = await request('GET', path, undefined, { accept })
    if (response.ok) return { ok: true, body: await response.blob() }
    return { ok: false, problem: problemOf(parse(await response.text()), response.status) }
  } catch {
    const detail = 'The export broke off before its end.'
    return { ok: false, problem: { status: 0, code: 'unreachable', detail } }
  }
}

function request(
  method: Method,
  path: string,
  body: unknown,
  { accept = 'application/json', signal }: { accept?: string; signal?: AbortSignal } = {},
): Promise<Response> {
  const headers: Record<string, string> = { accept, 'knell-via': 'ops' }
  if (body !== undefined) headers['content-type'] = 'application/json'
  return fetch(path, {
    method,
    headers,
    credentials: 'same-origin',
    cache: 'no-store',
    redirect: 'error',
    ...(signal === undefined ? {} : { signal }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

function problemOf(value: unknown, status = 0): Problem {
  const { code, detail, status: told } = (value ?? {}) as Partial<Problem>
  return {
    status: told ?? status,
    code: code ?? 'unknown',
    detail: detail ?? `The notifier answered ${status} without saying why.`,
  }
}

/** The same in a few words, for where a figure would stand. */
export function shortly({ status, code }: Problem): string {
  if (code === 'forbidden') return 'not for this key'
  if (code === 'store_unavailable') return 'not known: the store does not answer'
  return status === 404 ? 'not offered here' : `not known: the call failed (${code})`
}

/** What a refused or missing call means for who looks at the page. */
export function explain({ status, code, detail }: Problem): string {
  if (code === 'forbidden') return `Your API key may not see this. ${detail}`
  if (status === 404) return 'This notifier does not offer this.'
  return detail
}
