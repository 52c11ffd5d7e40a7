import type { Login } from '../config/rabbit-urls.ts'

const TIMEOUT_MS = 3000
/** Some hundreds of queues take a tenth of this; an answer of more is not read to its end. */
const MAX_BYTES = 4_194_304

/**
 * What became of a question to something that need not be there. `absent`: it, or what was asked
 * for, is not offered. `failed`: it should have answered; why, in words.
 */
export type Got =
  | { readonly word: 'ok'; readonly status: number; readonly text: string }
  | { readonly word: 'absent'; readonly why: string }
  | { readonly word: 'failed'; readonly why: string }

/**
 * A GET with a time limit and a bound on the answer. Never throws. An answer of 404 is `absent`, one
 * of another status than 200, or those in `accepts`, is `failed`. Redirects are not followed: the
 * login is for one address.
 */
export async function boundedGet(
  url: URL,
  options: { login?: Login | undefined; accepts?: readonly number[] } = {},
): Promise<Got> {
  const { login, accepts = [] } = options
  try {
    const response = await fetch(url, {
      headers: {
        ...(login === undefined ? {} : { authorization: basic(login) }),
        // Asked every ten seconds at most, a kept-alive connection is worth nothing.
        connection: 'close',
      },
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const { status } = response
    if (status === 200 || accepts.includes(status)) {
      const text = await textOf(response)
      if (text !== undefined) return { word: 'ok', status, text }
      return { word: 'failed', why: `the answer is longer than ${MAX_BYTES} bytes` }
    }
    await response.body?.cancel()
    if (status === 404) return { word: 'absent', why: 'it answers 404' }
    if (status === 401 || status === 403) {
      return { word: 'failed', why: `it refuses the login (${status})` }
    }
    return { word: 'failed', why: `it answers ${status}` }
  } catch (error) {
    const code = codeOf(error)
    // Nothing listens: the plug-in is off, or RabbitMQ is, which its connection tells.
    if (code === 'ECONNREFUSED') return { word: 'absent', why: 'nothing listens there' }
    return { word: 'failed', why: reasonOf(error, code) }
  }
}

async function textOf(response: Response): Promise<string | undefined> {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  for await (const chunk of response.body ?? []) {
    const bytes = chunk as Uint8Array
    size += bytes.byteLength
    if (size > MAX_BYTES) return undefined
    text += decoder.decode(bytes, { stream: true })
  }
  return text
}

function basic({ user, password }: Login): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** Without the address, which an operator knows, and which may hold what is not for everybody. */
function reasonOf(error: unknown, code: string | undefined): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return `no answer within ${TIMEOUT_MS / 1000} s`
  }
  return code === undefined ? 'no readable answer' : `not reachable (${code})`
}

/** The driver's code of a connection that failed. */
function codeOf(error: unknown): string | undefined {
  const { code } = ((error as { cause?: unknown }).cause ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}
