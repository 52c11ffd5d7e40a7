import fc from 'fast-check'
import type { Asked } from '../contract-client.ts'
import type { Operation } from '../openapi.ts'
import { dictionary } from './dictionary.ts'
import { mutated } from './mutator.ts'
import { toBytes, type RawRequest } from './raw-http.ts'

/** What a parameter may hold that is nearly right. */
const likely: readonly string[] = [
  '0',
  '1',
  '5',
  '1000',
  '999999999',
  '9999999999',
  '99999999999999999999',
  '-1',
  'null',
  '',
  '0.0',
  '3.0',
  '4.0',
  '0.99999999999999999999',
  '9999.18446744073709551615',
  '0.5',
  '0-0',
  '1-1',
  '9999999999999999-9999999999999999',
  '0-0,0-0,0-0,0-0',
  ',,,',
  ',,,,',
  'default',
  'other',
  '_all',
  'nobody',
  'orders',
  'web',
  '__proto__',
  'constructor',
  '1970-01-01',
  '2026-01-31T12:00:00Z',
  '-271821-04-20',
  '+275760-09-13',
  '+2h',
  'ndjson',
  '{"n":5}',
  '{"sub":"a"}',
  '[]',
  'revoke',
  'r0-1-1-0',
  `s0-${'0'.repeat(20)}`,
  'a,b,c',
]

const HEADERS: readonly string[] = [
  'authorization',
  'content-type',
  'accept',
  'cookie',
  'idempotency-key',
  'knell-via',
  'traceparent',
  'tracestate',
  'x-forwarded-for',
  'expect',
  'range',
  'if-none-match',
  'origin',
  'sec-fetch-site',
  'content-encoding',
  'upgrade',
  'last-event-id',
]

const headerValues: readonly string[] = [
  'Bearer ',
  'Bearer x',
  'Bearer  x',
  'Basic ',
  'Basic Og==',
  'Basic JTo=',
  'Basic //8=',
  'application/json',
  'application/json; charset=utf-16',
  'application/x-ndjson',
  'text/plain',

  'application/x-www-form-urlencoded',
  'application/json;',
  '*/*',
  'application/xml',
  'a/b;q=x',

  '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  '100-continue',
  'bytes=0-5',
  'ops',
  '__Host-knell-ops=x',
  '__Host-knell-ops=%',
  '=;=;=',
  'chunked',
  'gzip',
  'websocket',
  'none',
]

const FORM = 'application/x-www-form-urlencoded'

/** Good requests of a call. Whoever mutates them begins here. */
export function requestsOf(call: string, asked: readonly Asked[], secret: string): RawRequest[] {
  const [method = '', path = ''] = call.split(' ')
  return asked.map(({ query = {}, body, lines, form, headers = {} }) => {
    const [type, text] =
      form !== undefined
        ? [FORM, new URLSearchParams(form).toString()]
        : lines !== undefined
          ? ['application/x-ndjson', lines.map((line) => `${JSON.stringify(line)}\n`).join('')]
          : ['application/json', JSON.stringify(body)]
    const all = { authorization: `Bearer ${secret}`, ...headers }
    return {
      method,
      path,
      query: new URLSearchParams(query).toString(),
      headers: [
        ...Object.entries(all),
        ...(text === undefined ? [] : [['content-type', type] as const]),
      ],
      body: text === undefined ? undefined : Buffer.from(text),
    }
  })
}

export interface HttpInput {
  readonly bytes: Buffer
  /** Whether it is a whole request, so that there must be an answer. */
  readonly isWhole: boolean
}

/** Requests of a call with another body, query or headers, or other bytes anywhere. */
export function mutatedRequests(
  requests: readonly RawRequest[],
  operation: Operation | undefined,
): fc.Arbitrary<HttpInput> {
  const base = fc.constantFrom(...requests)
  const whole = (bytes: Buffer): HttpInput => ({ bytes, isWhole: true })
  const ways: fc.Arbitrary<HttpInput>[] = [
    queried(base, operation).map(whole),
    queried(base, operation).map(whole),
    headed(base).map(whole),
    mutated(requests.map(toBytes), { most: 2 }).map((bytes) => ({ bytes, isWhole: false })),
  ]
  const bodies = requests.flatMap(({ body }) => (body === undefined ? [] : [body]))
  if (bodies.length > 0) {
    const withBody = requests.filter(({ body }) => body !== undefined)
    const bodied = fc
      .tuple(fc.constantFrom(...withBody), mutated(bodies))
      .map(([request, body]) => whole(toBytes({ ...request, body })))
    // Most of what a call with a body reads is in it.
    ways.push(bodied, bodied, bodied, bodied)
  }
  return fc.oneof(...ways)
}

function queried(base: fc.Arbitrary<RawRequest>, operation: Operation | undefined) {
  const named = (operation?.parameters ?? []).flatMap(({ name, in: place }) =>
    place === 'query' ? [name] : [],
  )
  const names = [...named, ...named, ...named, 'tenant', 'sub', 'x', '__proto__', 'a[b]', '']
  const value = fc.oneof(
    fc.constantFrom(...likely).map(encodeURIComponent),
    fc.constantFrom(...dictionary).map((token) => percent(token.subarray(0, 1500))),
    fc.constantFrom('%', '%zz', '%ff', '%00', '+', '', '%F0%9F%98%80', '%ED%A0%80'),
  )
  const pair = fc.tuple(fc.constantFrom(...names), value).map(([name, text]) => `${name}=${text}`)
  return fc
    .tuple(base, fc.array(pair, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([request, pairs, isAdded]) => {
      const added = isAdded && request.query !== '' ? [request.query, ...pairs] : pairs
      return toBytes({ ...request, query: added.join('&') })
    })
}

function percent(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
}

function headed(base: fc.Arbitrary<RawRequest>) {
  const value = fc.oneof(
    fc.constantFrom(...headerValues),
    fc.constantFrom(...dictionary).map((token) =>
      // A line's end would only make two of one.
      token
        .subarray(0, 9000)
        .toString('latin1')
        .replaceAll(/[\r\n]/g, ' '),
    ),
  )
  const header = fc.tuple(fc.constantFrom(...HEADERS), value, fc.boolean())
  return fc
    .tuple(base, fc.array(header, { minLength: 1, maxLength: 3 }))
    .map(([request, changes]) => {
      let headers = [...request.headers]
      for (const [name, text, isSecond] of changes) {
        if (!isSecond) headers = headers.filter(([other]) => other !== name)
        headers.push([name, text])
      }
      return toBytes({ ...request, headers })
    })
}
