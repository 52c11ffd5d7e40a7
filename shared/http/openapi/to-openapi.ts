import type { z } from 'zod'
import { errorCodes, type ErrorCode } from '../../domain/errors.ts'
import { PREFER_RUNS } from '../../domain/plain-run.ts'
import type { Answer, Call, CallHeader } from '../calls/call.ts'
import { refTo, shownAsOf, type JsonSchema } from '../shown-schema.ts'
import { Components, type SchemaFiles } from './components.ts'
import { toSchema } from './to-schema.ts'

/** What any call with a key may answer. */
const WITH_KEY: readonly ErrorCode[] = [
  'invalid_request',
  'unauthorized',
  'forbidden',
  'certificate_needed',
  'unknown_tenant',
  'too_many_requests',
  'store_unavailable',
  'store_mismatch',
  'store_corrupt',
  'store_epoch_changed',
  'shutting_down',
  'internal',
]
const WITH_BODY: readonly ErrorCode[] = ['invalid_json', 'unsupported_media_type', 'body_too_large']
const WITH_WRITE: readonly ErrorCode[] = ['store_full', 'store_reserved', 'commit_too_old']

const headers: Readonly<Record<CallHeader, JsonSchema>> = {
  'idempotency-key': {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      'A repeat with the same key, of the same API key, tenant and body, has one effect and one answer for 10 minutes.',
    schema: { type: 'string', pattern: '^[!-~]{1,128}$' },
  },
  'knell-via': {
    name: 'Knell-Via',
    in: 'header',
    description: 'Where the call comes from, for the audit trail.',
    schema: { enum: ['cli', 'ops'] },
  },
  prefer: {
    name: 'Prefer',
    in: 'header',
    description: `With ${PREFER_RUNS} among what is preferred (RFC 7240), plain revocations come many to a line; a server that does not know it answers a line each.`,
    schema: { type: 'string' },
  },
}

const info = {
  title: 'Knell',
  version: '1',
  license: { name: 'MIT', identifier: 'MIT' },
  description: `Tells every service, within milliseconds, that a JWT has died. What Knell answers may have further members in later releases: ignore them. Errors are application/problem+json with a stable code. How a subscriber follows is in docs/wire.md, what it hears over RabbitMQ in docs/asyncapi.yaml. The pages of the dashboard are not described here.`,
}

const servers = [
  { url: 'http://127.0.0.1:7070', description: 'A notifier' },
  { url: 'http://127.0.0.1:7071', description: 'A poller, which serves the calls that name it' },
]

/** The OpenAPI 3.1 document of these calls. `schemas`: docs/schemas. */
export function toOpenApi(calls: readonly Call[], schemas: SchemaFiles): Record<string, unknown> {
  const components = new Components(schemas)
  const paths: Record<string, Record<string, unknown>> = {}
  for (const call of calls) {
    const [method = '', path = ''] = call.call.split(' ')
    paths[path] = { ...paths[path], [method.toLowerCase()]: operationOf(call, method) }
  }
  const resolved = components.resolve(paths)
  return {
    openapi: '3.1.1',
    info,
    servers,
    paths: resolved,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'The secret of an API key.' },
        client: {
          type: 'http',
          scheme: 'basic',
          description:
            'The id and secret of an OAuth client, each encoded as in a form (RFC 6749, section 2.3.1); they may come in the form instead. A client without a secret sends its client_id in the form.',
        },
      },
      headers: {
        RetryAfter: { description: 'Seconds.', schema: { type: 'integer', minimum: 0 } },
        WwwAuthenticate: { schema: { type: 'string' } },
      },
      schemas: components.reachedFrom(resolved),
    },
  }
}

function operationOf(call: Call, method: string): Record<string, unknown> {
  const { id, summary, description, servedBy, query } = call
  const parameters = [
    ...(query === undefined ? [] : parametersOf(toSchema(query, 'input'))),
    ...(call.headers ?? []).map((name) => headers[name]),
  ]
  return {
    operationId: id,
    summary,
    ...(description === undefined ? {} : { description }),
    'x-served-by': servedBy,
    security: securityOf(call),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...bodyOf(call),
    responses: {
      ...answersOf(call.answers),
      ...(call.clients === undefined ? problemsOf(call, method) : oauthErrorsOf(call)),
    },
  }
}

/** Any of these; the scopes of a key are its roles. */
function securityOf({ scopes, clients }: Call): object[] {
  return [
    ...scopes.map((scope) => ({ key: [scope] })),
    ...(clients === undefined ? [] : [{ client: [] }]),
    ...(clients === 'any' ? [{}] : []),
  ]
}

function bodyOf({ body, line, form }: Call): { requestBody?: object } {
  const schema = body ?? form
  if (schema === undefined) return {}
  const content = Object.entries({
    'application/json': body,
    'application/x-ndjson': line,
    'application/x-www-form-urlencoded': form,
  }).flatMap(([type, each]) =>
    each === undefined ? [] : [[type, { schema: toSchema(each, 'input') }]],
  )
  return {
    requestBody: { required: isRequired(schema), content: Object.fromEntries(content) as object },
  }
}

/** What the domain reads by itself is never left out. */
function isRequired(body: z.ZodType): boolean {
  return shownAsOf(body) !== undefined || !body.safeParse(undefined).success
}

/** The members of a query. Where others are taken too they are claims. */
function parametersOf(query: JsonSchema): JsonSchema[] {
  const {
    properties = {},
    required = [],
    additionalProperties,
  } = query as {
    properties?: Record<string, JsonSchema>
    required?: readonly string[]
    additionalProperties?: unknown
  }
  const named = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    ...(required.includes(name) ? { required: true } : {}),
    schema,
  }))
  if (additionalProperties === false) return named
  const claims = {
    name: 'claims',
    in: 'query',
    description: 'Claims by their names, each a parameter of its own.',
    style: 'form',
    explode: true,
    schema: {
      type: 'object',
      propertyNames: refTo('common.json#/$defs/claimName'),
      additionalProperties: { type: 'string' },
    },
  }
  return [...named, claims]
}

function answersOf(answers: Call['answers']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { description, content }]: [string, Answer]) => [
      status,
      {
        description,
        content: Object.fromEntries(
          Object.entries(content).map(([type, schema]) => [
            type,
            { schema: toSchema(schema, 'output') },
          ]),
        ),
      },
    ]),
  )
}

/** Every code that a call may answer, by status. */
function problemsOf(call: Call, method: string): Record<string, unknown> {
  if (call.scopes.length === 0) return {}
  const codes = new Set([
    ...WITH_KEY,
    ...(call.body === undefined ? [] : WITH_BODY),
    ...(method === 'GET' ? [] : WITH_WRITE),
    ...(call.codes ?? []),
  ])
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes) {
    const { status } = errorCodes[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [status, problemOf(status, some)]),
  )
}

/** RFC 6749, section 5.2. */
const oauthError: JsonSchema = {
  type: 'object',
  required: ['error', 'error_description'],
  properties: { error: { type: 'string' }, error_description: { type: 'string' } },
}

/** The errors of a call of OAuth, by status. */
function oauthErrorsOf({ clients }: Call): Record<string, unknown> {
  const descriptions: Readonly<Record<number, string>> = {
    400: 'What was sent is not good: invalid_request, or what the call says besides.',
    401: 'invalid_client, or invalid_token for an API key',
    ...(clients === 'confidential' ? { 403: 'unauthorized_client, insufficient_scope' } : {}),
    413: 'invalid_request: too large',
    415: 'invalid_request: no form',
    429: 'temporarily_unavailable: too much at once, or too many failures',
    500: 'server_error',
    503: 'temporarily_unavailable: try again, nothing has been done for certain',
  }
  return Object.fromEntries(
    Object.entries(descriptions).map(([status, description]) => [
      status,
      {
        description,
        ...headersOf(Number(status), status === '429' || status === '503'),
        content: { 'application/json': { schema: oauthError } },
      },
    ]),
  )
}

function headersOf(status: number, isRetryable: boolean): { headers?: object } {
  const answered = {
    ...(isRetryable ? { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } : {}),
    ...(status === 401
      ? { 'WWW-Authenticate': { $ref: '#/components/headers/WwwAuthenticate' } }
      : {}),
  }
  return Object.keys(answered).length === 0 ? {} : { headers: answered }
}

function problemOf(status: number, codes: readonly ErrorCode[]): Record<string, unknown> {
  const isRetryable = codes.some((code) => errorCodes[code].retryable)
  const schema = { allOf: [refTo('problem.json'), { properties: { code: { enum: codes } } }] }
  return {
    description: codes.join(', '),
    ...headersOf(status, isRetryable),
    content: { 'application/problem+json': { schema } },
  }
}
