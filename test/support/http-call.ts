import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { once } from 'node:events'

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: Record<string, unknown>
}

/** Sends a GET with exactly these headers, names and values in turn, and no kept-alive connection. */
export async function openCall(
  url: string,
  headers: readonly string[] = [],
): Promise<IncomingMessage> {
  const sent = request(url, { agent: false, headers: ['host', new URL(url).host, ...headers] })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

export async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return text
}

export async function get(url: string, headers: readonly string[] = []): Promise<HttpAnswer> {
  const response = await openCall(url, headers)
  const text = await textOf(response)
  const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}
  return { status: response.statusCode ?? 0, headers: response.headers, text, body }
}

export function bearer(token: string): string[] {
  return ['authorization', `Bearer ${token}`]
}
