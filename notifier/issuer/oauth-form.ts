import type { FastifyBodyParser, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { KnellError } from '../../shared/domain/errors.ts'
import { parseWith } from '../../shared/http/schemas.ts'

export const FORM_TYPE = 'application/x-www-form-urlencoded'

/** The parameters of a call, as `application/x-www-form-urlencoded` brings them. */
export class OAuthForm {
  readonly #parameters: ReadonlyMap<string, string>

  constructor(parameters: ReadonlyMap<string, string>) {
    this.#parameters = parameters
  }

  /** The parameter; undefined where it was not sent, or without a value (RFC 6749, section 3.1). */
  get(name: string): string | undefined {
    return this.#parameters.get(name) || undefined
  }

  /** Its parameters by a schema. @throws KnellError `invalid_request` */
  read<T>(schema: z.ZodType<T>): T {
    const sent = [...this.#parameters].filter(([, value]) => value !== '')
    return parseWith(schema, Object.fromEntries(sent), 'form')
  }
}

/** With what a client authenticates where it does not by HTTP Basic (RFC 6749, section 2.3.1). */
const credentials: Readonly<Record<'client_id' | 'client_secret', z.ZodOptional<z.ZodString>>> = {
  client_id: z.string().optional(),
  client_secret: z.string().optional(),
}

/** A form with these parameters; others are ignored (RFC 6749, section 3.2). */
export function formSchema<T extends z.ZodRawShape>(shape: T): z.ZodObject<T> {
  return z.object({ ...credentials, ...shape })
}

/** The form of a call. @throws KnellError `invalid_request` where it brings none */
export function formOf(request: FastifyRequest): OAuthForm {
  if (request.body instanceof OAuthForm) return request.body
  throw new KnellError(
    'invalid_request',
    'Send the parameters in the body, as application/x-www-form-urlencoded.',
  )
}

/** One name or value (RFC 6749, appendix B). @throws KnellError `invalid_request` */
export function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // Its own message quotes the text.
    throw new KnellError('invalid_request', 'The parameters are not well-formed UTF-8 in a form.')
  }
}

/**
 * Reads a form. A parameter that is there twice is refused (RFC 6749, section 3.1), for two readers
 * may take two different ones.
 * @throws KnellError `invalid_request`
 */
export function parseForm(text: string): OAuthForm {
  const parameters = new Map<string, string>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const [name = '', ...value] = pair.split('=')
    const decoded = formDecode(name)
    if (parameters.has(decoded)) {
      throw new KnellError('invalid_request', 'A parameter is there more than once.')
    }
    parameters.set(decoded, formDecode(value.join('=')))
  }
  return new OAuthForm(parameters)
}

/** What Fastify reads forms with. Bytes that are not ASCII are taken for UTF-8, as `formDecode` takes them encoded. */
export const readForm: FastifyBodyParser<Buffer> = (_request, body, done) => {
  try {
    done(null, parseForm(new TextDecoder('utf-8', { fatal: true }).decode(body)))
  } catch (error) {
    const isOurs = error instanceof KnellError
    done(isOurs ? error : new KnellError('invalid_request', 'The body is not UTF-8.'))
  }
}
