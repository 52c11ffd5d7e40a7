import { problemsOfIdentity, type TlsIdentity } from '../tls/tls-identity.ts'
import { configInvalid, problemsOf } from './problems.ts'
import { readText } from './read-text.ts'

type Env = Readonly<Record<string, string | undefined>>

/** What a process shows and whom it trusts towards RabbitMQ, Redis and its own callers; undefined where it speaks no TLS. */
export interface TlsSettings {
  readonly amqp: TlsIdentity | undefined
  readonly redis: TlsIdentity | undefined
  /** `ca`: whom the certificates of callers must come from; without it none is asked for. */
  readonly server: TlsIdentity | undefined
}

/** `pull`: what a subscriber's process shows notifiers and pollers, and whom of them it trusts. */
type Side = keyof TlsSettings | 'pull'
type Members = Readonly<Record<keyof TlsIdentity, string>>

/** The variable of each member. */
const variables: Readonly<Record<Side, Members>> = {
  amqp: { ca: 'AMQP_CA', cert: 'AMQP_CERT', key: 'AMQP_KEY' },
  redis: { ca: 'REDIS_CA', cert: 'REDIS_CERT', key: 'REDIS_KEY' },
  server: { ca: 'TLS_CLIENT_CA', cert: 'TLS_CERT', key: 'TLS_KEY' },
  pull: { ca: 'KNELL_CA', cert: 'KNELL_CERT', key: 'KNELL_KEY' },
}

/** The sides of a notifier or a poller. */
const sidesOfProcess = ['amqp', 'redis', 'server'] as const

/** The URLs that must be of TLS for a side to use it. */
const urls: Readonly<Partial<Record<Side, { name: string; secure: RegExp; scheme: string }>>> = {
  amqp: { name: 'AMQP_URL', secure: /^amqps:/i, scheme: 'amqps://' },
  redis: { name: 'REDIS_URL', secure: /^rediss[:+]/i, scheme: 'rediss://' },
  pull: { name: 'KNELL_URL', secure: /^https:/i, scheme: 'https://' },
}

const isPem = (text: string): boolean => text.includes('-----BEGIN ')

/**
 * Reads certificates and keys: each variable holds PEM, or the path of a file with it.
 * @throws KnellError `config_invalid`; its `details.problems` each begin with a variable's name and hold no key
 */
export function loadTls(env: Env): TlsSettings {
  return loadTlsOf(env, sidesOfProcess)
}

/** The same for the sides that a process has. @throws KnellError as `loadTls` */
export function loadTlsOf<S extends Side>(
  env: Env,
  sides: readonly S[],
): Readonly<Record<S, TlsIdentity | undefined>> {
  const problems: string[] = []
  const settings = {} as Record<S, TlsIdentity | undefined>
  for (const side of sides) settings[side] = loadSide(env, side, problems)
  if (problems.length > 0) throw configInvalid('The settings of TLS are unusable', problems)
  return settings
}

/** The variables whose name a mistyped one may stand for: those of sides that speak TLS. */
export function tlsVariables(env: Env): readonly string[] {
  const sides = sidesOfProcess.filter((side) => speaksTls(env, side) !== false)
  return sides.flatMap((side) => Object.values(variables[side]))
}

/** The files that the variables name, to be watched. */
export function tlsFiles(env: Env): readonly string[] {
  const names = sidesOfProcess.flatMap((side) => Object.values(variables[side]))
  return names.flatMap((name) => {
    const text = env[name]?.trim()
    return text && !isPem(text) ? [text] : []
  })
}

/** Undefined: nothing but its own variables says so. */
function speaksTls(env: Env, side: Side): boolean | undefined {
  const url = urls[side]
  const text = url && env[url.name]?.trim()
  return text ? url.secure.test(text) : undefined
}

function loadSide(env: Env, side: Side, problems: string[]): TlsIdentity | undefined {
  const names = variables[side]
  const members = Object.keys(names) as (keyof TlsIdentity)[]
  const given = members.filter((member) => env[names[member]]?.trim())
  const url = urls[side]
  // What was meant to be TLS must never go in plain.
  if (url && speaksTls(env, side) === false) {
    for (const member of given) {
      problems.push(
        `${names[member]}: it has no meaning while ${url.name} speaks no TLS; begin that with ${url.scheme}`,
      )
    }
    return undefined
  }
  if (!url && given.length === 0) return undefined
  const identity: { -readonly [member in keyof TlsIdentity]: string } = {}
  const broken = new Set<keyof TlsIdentity>()
  for (const member of given) {
    try {
      identity[member] = readPem(env[names[member]]?.trim() ?? '')
    } catch (error) {
      broken.add(member)
      problems.push(`${names[member]}: ${problemsOf(error).join('; ')}`)
    }
  }
  const found = problemsOfIdentity(identity).filter(({ member }) => !broken.has(member))
  if (side === 'server' && given.length > 0 && !given.some((member) => member !== 'ca')) {
    found.push({ member: 'cert', problem: `${names.ca} needs it, and its key` })
  }
  problems.push(...found.map(({ member, problem }) => `${names[member]}: ${problem}`))
  return identity
}

/** Some ways of setting a variable cannot hold a line's end; they write it as `\n`. */
function readPem(text: string): string {
  return isPem(text) ? text.replaceAll('\\n', '\n') : readText(text)
}
