import { createHash, type Hash } from 'node:crypto'
import type { Claims, Header } from '../domain/claims.ts'

/** SHA-256, as base64url, of lines: each counts with its line feed. */
export class LinesDigest {
  readonly #hash: Hash = createHash('sha256')

  add(line: string): void {
    this.#hash.update(line).update('\n')
  }

  /** Of the lines so far; more may follow. */
  value(): string {
    return this.#hash.copy().digest('base64url')
  }
}

export function digestOf(lines: Iterable<string>): string {
  const digest = new LinesDigest()
  for (const line of lines) digest.add(line)
  return digest.value()
}

/** Of claims and header as they were sent: a signed decision is on this token and no other. */
export function tokenDigestOf(claims: Claims, header: Header | null | undefined): string {
  return digestOf([JSON.stringify([claims, header ?? null])])
}
