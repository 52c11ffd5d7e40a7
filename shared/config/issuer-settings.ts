import { resolve } from 'node:path'
import { CronExpressionParser } from 'cron-parser'
import { KnellError } from '../domain/errors.ts'
import { ringAlgorithms, type RingAlgorithm } from '../domain/key-ring.ts'
import { readText } from './read-text.ts'
import { duration, matching, oneOf, type Parse, type SettingReader } from './setting-reader.ts'
import { isIssuing } from './tenant-settings.ts'
import type { Tenants } from './tenants.ts'

/** How tokens are issued, where that is on. */
export interface IssuerSettings {
  /** 32 bytes each; the first encrypts private keys, all of them decrypt. */
  readonly keyEncryptionKeys: readonly Buffer[]
  /** Of signing keys that are made from now on. */
  readonly alg: RingAlgorithm
  /** The life of an access token. */
  readonly accessSeconds: number
  /** How long a session may be refreshed, from its beginning. */
  readonly refreshSeconds: number
  /** How long after its use a refresh token still gets the successor it was given. */
  readonly refreshGraceMs: number
  /** When the poller lets the next signing key sign. */
  readonly rotationCron: string
  /** Whether a token that was never registered is not active. */
  readonly isStateful: boolean
}

const KEY_BYTES = 32
const MAX_KEYS = 4
const HOUR_MS = 3_600_000
const YEAR_MS = 366 * 24 * HOUR_MS

function isCron(text: string): boolean {
  try {
    CronExpressionParser.parse(text, { tz: 'UTC' })
    return /^\S+(?: \S+){4,5}$/.test(text)
  } catch {
    return false
  }
}

function keyOf(word: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(word)) return Buffer.from(word, 'hex')
  if (!/^[A-Za-z0-9_-]{43}=?$/.test(word)) return undefined
  const bytes = Buffer.from(word, 'base64url')
  return bytes.length === KEY_BYTES ? bytes : undefined
}

/** Reads key-encryption keys parted by white space, or the file that holds them. @throws KnellError `config_invalid`, quoting nothing */
export function parseKeyEncryptionKeys(text: string): Buffer[] {
  const isPath = text.split(/\s+/).some((word) => keyOf(word) === undefined)
  const words = (isPath ? readText(resolve(text)) : text).trim().split(/\s+/)
  const keys = words.map(keyOf)
  const good = keys.filter((key) => key !== undefined)
  if (good.length !== keys.length || good.length > MAX_KEYS) {
    throw new KnellError(
      'config_invalid',
      `expected 1 to ${MAX_KEYS} keys of ${KEY_BYTES} bytes in base64url or hexadecimal; make one with: openssl rand -hex ${KEY_BYTES}`,
    )
  }
  return good
}

/** A duration from and to so many ms, in seconds. */
function wholeSeconds(leastMs: number, mostMs: number): Parse<number> {
  return (text) => {
    const ms = duration(leastMs, mostMs)(text)
    return ms !== undefined && ms % 1000 === 0 ? ms / 1000 : undefined
  }
}

/** Reads how tokens are issued; undefined where `ISSUER_ENABLED` is not 1. What is wrong goes to the reader's problems. */
export function readIssuerSettings(
  { read, value, problems }: SettingReader,
  tenants: Tenants | undefined,
): IssuerSettings | undefined {
  const isOn = read('ISSUER_ENABLED', oneOf(['0', '1'])) === '1'
  const settings = {
    alg: read('ISSUER_ALG', oneOf(ringAlgorithms)),
    accessSeconds: read('ACCESS_TTL', wholeSeconds(1000, 24 * HOUR_MS)),
    refreshSeconds: read('REFRESH_TTL', wholeSeconds(1000, YEAR_MS)),
    refreshGraceMs: read('REFRESH_GRACE', duration(0, 60_000)),
    rotationCron: read('KEY_ROTATION_CRON', matching(isCron)),
    isStateful: read('STATEFUL', oneOf(['0', '1'])) === '1',
  }
  const isKeyed = value('KEY_ENCRYPTION_KEY') !== undefined
  const keyEncryptionKeys =
    isOn || isKeyed ? read('KEY_ENCRYPTION_KEY', parseKeyEncryptionKeys) : []
  if (!isOn) return undefined
  const issuing = [...(tenants?.values() ?? [])].filter(isIssuing)
  if (tenants !== undefined && issuing.length === 0) {
    problems.push(
      'ISSUER_ENABLED: needs a tenant with an issuer and no jwksUri, which is of tokens issued elsewhere; set ISSUER, or it in TENANTS_FILE',
    )
  }
  for (const { tenant, maxTokenTtlSeconds } of issuing) {
    if (!(settings.accessSeconds > maxTokenTtlSeconds)) continue
    problems.push(
      `ACCESS_TTL: is longer than the longest token life of tenant "${tenant}" (${maxTokenTtlSeconds}s); shorten it, or raise MAX_TOKEN_TTL`,
    )
  }
  return Object.freeze({ keyEncryptionKeys, ...settings })
}
