import { createHash, timingSafeEqual } from 'node:crypto'
import { resolve } from 'node:path'
import { problemOfId } from '../domain/claims.ts'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import { DEFAULT_TENANT, isTenant } from '../domain/tenant.ts'
import { nearMatch } from './near-match.ts'
import { configInvalid, problemsOf } from './problems.ts'
import { readJson } from './read-json.ts'

/** An OAuth client (RFC 6749, section 2) of one tenant. */
export interface OAuthClient {
  readonly clientId: string
  readonly tenant: string
  /** Without a secret (RFC 6749, section 2.1): it names itself and proves nothing. */
  readonly isPublic: boolean
  /** The audiences of the tokens it may learn of. Undefined: all of its tenant. */
  readonly audiences: ReadonlySet<string> | undefined
  /** Whether it may ask what a token is (RFC 7662). */
  readonly mayIntrospect: boolean
}

export interface ClientRing {
  readonly clients: readonly OAuthClient[]
  /**
   * The client of this id, where the secret is its own; a public one where none is given. Whether a
   * client is unknown, public or has another secret, the same work is done: one digest, compared in
   * constant time.
   */
  authenticate(clientId: string, secret: string | undefined): OAuthClient | undefined
}

/** A client as configured. The secret itself is not kept, only its SHA-256. */
interface Entry {
  readonly client: OAuthClient
  readonly sha256: Buffer | undefined
}

/** Takes note of what is wrong with a client. */
type Report = (problem: string) => void

const members: readonly string[] = ['secret', 'tenant', 'audiences', 'introspect']
/** Printable ASCII (RFC 6749, appendix A.1), without the space. */
const CLIENT_ID = /^[\u0021-\u007e]{1,200}$/
const SECRET = /^[\u0020-\u007e]{16,512}$/
const DIGEST_PREFIX = 'sha256.'
const DIGEST = /^[0-9a-f]{64}$/i
/** Compared with where there is nothing to compare with; whatever it equals proves nothing. */
const NOBODY = createHash('sha256').update('').digest()

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}

/** The digest of a configured secret, or a sentence that says what is wrong with it. Never quotes it. */
function digestOf(secret: unknown): Buffer | string {
  const text = typeof secret === 'string' ? secret : ''
  if (text.startsWith(DIGEST_PREFIX)) {
    const hex = text.slice(DIGEST_PREFIX.length)
    return DIGEST.test(hex)
      ? Buffer.from(hex, 'hex')
      : 'needs 64 hexadecimal digits after "sha256." in "secret"'
  }
  return SECRET.test(text)
    ? sha256(text)
    : 'needs a "secret" of 16 to 512 characters of printable ASCII, or none at all (a public client)'
}

function audiencesOf(value: unknown, report: Report): ReadonlySet<string> | undefined {
  if (value === undefined) return undefined
  const isList = Array.isArray(value) && value.length > 0
  if (!isList || value.some((one) => problemOfId(one) !== undefined)) {
    report('needs in "audiences" a list of one or more texts')
    return undefined
  }
  return new Set(value as string[])
}

/** Says which members nobody knows, without quoting them: one may be a secret, put there by mistake. */
function reportUnknown(raw: Readonly<Record<string, unknown>>, report: Report): void {
  for (const [index, name] of Object.keys(raw).entries()) {
    if (members.includes(name)) continue
    const near = nearMatch(name, members)
    const hint = near ? `did you mean "${near}"?` : `known are ${members.join(', ')}`
    report(`has an unknown member at place ${index + 1}; ${hint}`)
  }
}

function parseClient(
  clientId: string,
  raw: Readonly<Record<string, unknown>>,
  isDeclared: (tenant: string) => boolean,
  report: Report,
): Entry {
  reportUnknown(raw, report)
  const { secret, tenant = DEFAULT_TENANT, audiences, introspect = false } = raw
  const digest = secret === undefined ? undefined : digestOf(secret)
  if (typeof digest === 'string') report(digest)
  if (!isTenant(tenant) || !isDeclared(tenant)) {
    report('needs in "tenant" one that is declared; TENANTS_FILE declares them')
  }
  if (typeof introspect !== 'boolean') report('needs true or false in "introspect"')
  if (introspect === true && secret === undefined) {
    report('has "introspect" and no "secret"; a public client may not ask about tokens')
  }
  const client = Object.freeze({
    clientId,
    tenant: String(tenant),
    isPublic: secret === undefined,
    audiences: audiencesOf(audiences, report),
    mayIntrospect: introspect === true,
  })
  return { client, sha256: typeof digest === 'string' ? undefined : digest }
}

/** Makes the ring of what a clients file holds. @throws KnellError `config_invalid` that lists everything wrong */
export function parseClients(
  value: unknown,
  isDeclared: (tenant: string) => boolean = () => true,
): ClientRing {
  if (!isRecord(value)) {
    throw new KnellError('config_invalid', 'expected an object with one member for each client')
  }
  const problems: string[] = []
  const entries = Object.entries(value).flatMap(([clientId, raw], index) => {
    // Where it is no client, the name may be a secret, so it is called by its place.
    const isNamed = CLIENT_ID.test(clientId) && isRecord(raw)
    if (!isNamed) {
      problems.push(
        `client ${index + 1} must be a client_id of 1 to 200 characters of printable ASCII without space, and an object of ${members.join(', ')}`,
      )
      return []
    }
    const report: Report = (problem) => void problems.push(`client "${clientId}" ${problem}`)
    return [parseClient(clientId, raw, isDeclared, report)]
  })
  if (problems.length > 0) throw configInvalid('The clients are unusable', problems)
  return createClientRing(entries)
}

function createClientRing(entries: readonly Entry[]): ClientRing {
  const byId = new Map(entries.map((entry) => [entry.client.clientId, entry]))
  return Object.freeze({
    clients: entries.map(({ client }) => client),
    authenticate(clientId: string, secret: string | undefined) {
      const entry = byId.get(clientId)
      const isEqual = timingSafeEqual(sha256(secret ?? ''), entry?.sha256 ?? NOBODY)
      const isSent = secret !== undefined
      const isProven = entry?.sha256 === undefined ? !isSent : isSent && isEqual
      return isProven ? entry?.client : undefined
    },
  })
}

/**
 * Reads the OAuth clients of the file that `CLIENTS_FILE` names, a JSON object
 * `{ "<client_id>": { secret? (a text or "sha256.<hex>"), tenant?, audiences?, introspect? } }`.
 * Undefined: there is none, and no client. Call it again when the file has changed.
 * @throws KnellError `config_invalid`; its `details.problems` lists everything wrong, with the
 *   names of the clients and never a secret, each problem beginning with the name of the variable
 */
export function loadClients(
  path: string | undefined,
  isDeclared: (tenant: string) => boolean,
): ClientRing {
  if (path === undefined) return createClientRing([])
  try {
    return parseClients(readJson(resolve(path)), isDeclared)
  } catch (error) {
    // What holds a brace is not a path but clients, put there by mistake, so it is not shown.
    const where = path.includes('{') ? 'CLIENTS_FILE' : `CLIENTS_FILE: ${path}`
    throw configInvalid(
      'The clients are unusable',
      problemsOf(error).map((problem) => `${where}: ${problem}`),
    )
  }
}
