import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'
import type { SignedKind } from '../../shared/signing/detached-jws.ts'
import type { EventJwkSet } from '../../shared/signing/event-keys.ts'
import type { SignatureVerdict } from '../../shared/signing/event-verifier.ts'

/** One step of a case: exactly one of these members. */
export interface Step {
  readonly snapshot?: readonly unknown[]
  readonly entry?: Readonly<Record<string, unknown>>
  readonly beat?: unknown
  readonly page?: unknown
  readonly now?: number
  readonly check?: {
    readonly claims: Readonly<Record<string, unknown>>
    readonly header?: Readonly<Record<string, unknown>>
    readonly maxStalenessMs?: number
    readonly expect: { readonly active: boolean; readonly code: string; readonly reason?: string }
  }
  readonly state?: Readonly<Record<string, unknown>>
}

export interface VectorCase {
  readonly name: string
  readonly now: number
  readonly steps: readonly Step[]
}

export interface SignatureCase {
  readonly name: string
  readonly kind: SignedKind
  readonly body: string
  readonly signature: string | null
  readonly expect: SignatureVerdict
}

export interface VectorFile {
  readonly about: string
  readonly cases: readonly VectorCase[]
}

export interface SignatureFile {
  readonly about: string
  readonly namespace: string
  readonly keys: EventJwkSet
  readonly signatures: readonly SignatureCase[]
  readonly digests: readonly { readonly lines: readonly string[]; readonly sha256: string }[]
}

const folder = join(checkout, 'docs', 'vectors')

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(folder, file), 'utf8'))
}

/** Every file of docs/vectors by its name, but for that of the signatures. */
export const vectorFiles: Readonly<Record<string, VectorFile>> = Object.fromEntries(
  readdirSync(folder)
    .filter((file) => file.endsWith('.json') && file !== 'signatures.json')
    .map((file) => [file, read(file) as VectorFile]),
)

export const signatures: SignatureFile = read('signatures.json') as SignatureFile
