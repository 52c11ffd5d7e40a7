import { request, type IncomingMessage } from 'node:http'
import { request as requestByTls } from 'node:https'
import { once } from 'node:events'
import { textOf } from './http-call.ts'

export interface OpsAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  readonly body: Record<string, unknown>
}

type Headers = Readonly<Record<string, string>>

/** What a browser trusts, and which certificate it shows. */
export interface BrowserTls {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

/** What a browser sends of itself with a call of the dashboard's own code. */
export const OWN: Headers = { 'knell-via': 'ops', 'sec-fetch-site': 'same-origin' }

/** Sends a call with exactly these headers; `fetch` would not let a test say where it comes from. */
export async function send(
  url: string,
  options: Parameters<typeof open>[1] = {},
): Promise<OpsAnswer> {
  const response = await open(url, options)
  const text = await textOf(response)
  const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}
  return { status: response.statusCode ?? 0, headers: response.headers, text, body }
}

/** The same, without waiting for the end of the answer. `path` is sent as it is, where a URL would lose its dots. */
export async function open(
  url: string,
  {
    method = 'GET',
    path = new URL(url).pathname + new URL(url).search,
    headers = {},
    body,
    tls,
  }: { method?: string; path?: string; headers?: Headers; body?: unknown; tls?: BrowserTls },
): Promise<IncomingMessage> {
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const options = { method, path, agent: false, headers: { ...type, ...headers } } as const
  const sent = tls === undefined ? request(url, options) : requestByTls(url, { ...options, ...tls })
  sent.end(body === undefined ? undefined : JSON.stringify(body))
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

/** Logs in as the login page does; answers the header with the cookie. */
export async function logIn(
  url: string,
  secret: string,
  tls?: BrowserTls,
): Promise<{ cookie: string }> {
  const { status, headers, text } = await send(`${url}/ops/session`, {
    method: 'POST',
    headers: OWN,
    body: { secret },
    ...(tls === undefined ? {} : { tls }),
  })
  if (status !== 200) throw new Error(`The login answered ${status}: ${text}`)
  return { cookie: String(headers['set-cookie']?.[0]).split(';')[0] ?? '' }
}

/** One event of a stream (HTML Living Standard, section 9.2). */
export interface StreamEvent {
  readonly id: string
  readonly event: string
  readonly data: string
}

/** Reads events until `isLast` says so, or the stream ends. */
export async function readEvents(
  response: IncomingMessage,
  isLast: (event: StreamEvent) => boolean,
): Promise<StreamEvent[]> {
  const found: StreamEvent[] = []
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const field = (name: string): string =>
        new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? ''
      if (field('event') === '') continue
      const event = { id: field('id'), event: field('event'), data: field('data') }
      found.push(event)
      if (isLast(event)) {
        response.destroy()
        return found
      }
    }
  }
  return found
}
