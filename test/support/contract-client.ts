import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { operations, problemsBy, type Operation } from './openapi.ts'

const FORM = 'application/x-www-form-urlencoded'

/** A call of the API as a test makes it. */
export interface Asked {
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** NDJSON instead of JSON. */
  readonly lines?: readonly unknown[]
  /** A form instead of JSON. */
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** Whether the request is meant to be wrong, and so is not held to the document. */
  readonly isWrong?: boolean
}

export interface Told {
  readonly status: number
  readonly body: unknown
  readonly text: string
}

/** Makes calls, and holds each request and each answer to docs/openapi.json. */
export class ContractClient {
  /** What was answered well so far: `GET /v1/feed notifier application/json`. */
  readonly covered: Set<string> = new Set()
  readonly #secret: string

  constructor(secret: string) {
    this.#secret = secret
  }

  async ask(process: KnellProcess, call: string, asked: Asked = {}): Promise<Told> {
    const operation = operations.get(call)
    if (operation === undefined) throw new Error(`docs/openapi.json does not describe ${call}.`)
    if (asked.isWrong !== true) expectRequest(operation, call, asked)
    const response = await send(process, call, asked, this.#secret)
    const text = await response.text()
    const type = String(response.headers.get('content-type')).split(';')[0] ?? ''
    const body = type.endsWith('json') && !type.endsWith('ndjson') ? JSON.parse(text) : undefined
    expectAnswer(operation, call, { status: response.status, type, text, body })
    expect(operation['x-served-by'], call).to.include(process.kind)
    if (response.ok) this.covered.add(`${call} ${process.kind} ${type}`)
    return { status: response.status, body, text }
  }
}

async function send(
  { url }: KnellProcess,
  call: string,
  { query = {}, body, lines, form, headers = {} }: Asked,
  secret: string,
): Promise<Response> {
  const [method = '', path = ''] = call.split(' ')
  const search = new URLSearchParams(query).toString()
  const [type, content] =
    form !== undefined
      ? [FORM, new URLSearchParams(form).toString()]
      : lines !== undefined
        ? ['application/x-ndjson', lines.map((line) => JSON.stringify(line)).join('\n')]
        : ['application/json', JSON.stringify(body)]
  return fetch(`${url}${path}${search === '' ? '' : `?${search}`}`, {
    method,
    headers: {
      authorization: `Bearer ${secret}`,
      connection: 'close',
      ...(content === undefined ? {} : { 'content-type': type }),
      ...headers,
    },
    ...(content === undefined ? {} : { body: content }),
  })
}

function expectRequest(operation: Operation, call: string, asked: Asked): void {
  const { query = {}, body, lines = [], form, headers = {} } = asked
  const parameters = operation.parameters ?? []
  const claims = parameters.find(({ name, in: place }) => place === 'query' && name === 'claims')
  for (const [name, text] of Object.entries(query)) {
    const parameter = parameters.find((each) => each.in === 'query' && each.name === name)
    const schema = parameter?.schema ?? claims?.schema
    expect(schema, `${call}: the parameter ${name}`).to.not.equal(undefined)
    const value = parameter === undefined ? { [name]: text } : fromText(text)
    const problems = problemsBy(schema ?? {}, value)
    const asText = parameter === undefined ? problems : problemsBy(schema ?? {}, text)
    // A query is text: a parameter may be a number or the text of one.
    expect(problems.length === 0 || asText.length === 0, `${call} ${name}=${text}`).to.equal(true)
  }
  for (const { name, required } of parameters) {
    if (required === true) expect(query, call).to.have.property(name)
  }
  for (const name of Object.keys(headers)) {
    if (name === 'accept' || name === 'authorization') continue
    expect(parameters.map((each) => each.name.toLowerCase())).to.include(name)
  }
  const content = operation.requestBody?.content
  if (body !== undefined) {
    expect(problemsBy(content?.['application/json']?.schema ?? {}, body), call).to.deep.equal([])
  }
  if (form !== undefined) {
    expect(problemsBy(content?.[FORM]?.schema ?? { not: {} }, form), call).to.deep.equal([])
  }
  for (const line of lines) {
    const schema = content?.['application/x-ndjson']?.schema
    expect(problemsBy(schema ?? { not: {} }, line), call).to.deep.equal([])
  }
}

function fromText(text: string): unknown {
  return /^(?:\d+|null)$/.test(text) ? (JSON.parse(text) as unknown) : text
}

function expectAnswer(
  operation: Operation,
  call: string,
  { status, type, text, body }: { status: number; type: string; text: string; body: unknown },
): void {
  const what = `${call} → ${status} ${type} is described in notifier/calls or shared/http/calls (then npm run contracts): ${text.slice(0, 500)}`
  if (text === '') {
    expect(operation.responses[status]?.content, `${what}: described as empty`).to.deep.equal({})
    return
  }
  const content = operation.responses[status]?.content[type]
  expect(content, `${what}: described`).to.not.equal(undefined)
  const values = type.endsWith('ndjson')
    ? text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown]))
    : [type.endsWith('json') ? body : text]
  for (const value of values)
    expect(problemsBy(content?.schema ?? {}, value), what).to.deep.equal([])
}
