/** A caller gives up after this long, and does not know then what became of its call. */
const TIMEOUT_MS = 15_000

/** What a caller knows of its call: it was answered with success, it was refused, or nobody can say. */
export type Outcome =
  | { readonly kind: 'acknowledged'; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }
  | { readonly kind: 'unknown' }

/** Statuses that say nothing of whether the call had an effect, or that it may be sent again. */
function isUnknown(status: number): boolean {
  return status >= 500 || status === 429
}

/** Calls the API of a process that may be killed, paused or cut off in the midst of it. */
export async function call(url: string, apiKey: string, body?: unknown): Promise<Outcome> {
  try {
    const response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (response.ok)
      return { kind: 'acknowledged', body: JSON.parse(text) as Record<string, unknown> }
    if (isUnknown(response.status)) return { kind: 'unknown' }
    return { kind: 'refused', status: response.status, text }
  } catch {
    return { kind: 'unknown' }
  }
}
