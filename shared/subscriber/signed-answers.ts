import { randomBytes } from 'node:crypto'
import { isRecord, parseJson } from '../domain/entry.ts'
import { digestOf } from '../signing/digest.ts'
import type { SignedKind } from '../signing/detached-jws.ts'
import type { EventVerifier } from '../signing/event-verifier.ts'
import { texts } from './gate.ts'
import { refusal } from './refusals.ts'

/** What was asked, with a nonce: the signed answer must repeat it, so that an older one, or one to another question, is refused. */
export type Question = Readonly<Record<string, string>>

/** With pinned keys every question has one, so that no answer to an earlier one can serve. */
export function newNonce(): string {
  return randomBytes(16).toString('base64url')
}

/** What a good signature says about a signed member of an answer. @throws KnellError `event_…` */
export function openSigned(
  verifier: EventVerifier,
  kind: SignedKind,
  value: unknown,
  question: Question,
): Record<string, unknown> {
  const { body, signature }: Record<string, unknown> = isRecord(value) ? value : {}
  const isText = typeof body === 'string'
  const bytes = Buffer.from(isText ? body : '')
  const verdict = verifier.verify(kind, bytes, isText ? signature : undefined)
  if (verdict !== 'good') {
    const why = verdict === 'unsigned' ? 'unsigned' : 'altered'
    throw refusal(why, `A pulled ${kind} was refused: ${texts[verdict]}.`)
  }
  const said = parseJson(bytes.toString('utf8'))
  if (!isRecord(said)) throw refusal('altered', `A pulled ${kind} is not an object.`)
  if (said['tenant'] !== question['tenant']) {
    throw refusal('foreign', `A pulled ${kind} is of another tenant.`)
  }
  if (!answers(said['asked'], question)) {
    throw refusal('replayed', `A pulled ${kind} answers another question than the one asked.`)
  }
  return said
}

function answers(asked: unknown, question: Question): boolean {
  if (!isRecord(asked)) return false
  const names = Object.keys(question)
  return (
    Object.keys(asked).length === names.length &&
    names.every((name) => asked[name] === question[name])
  )
}

/** The members and entries of a signed page of the feed, as an unsigned one has them. @throws KnellError `event_…` */
export function openPage(
  verifier: EventVerifier,
  page: unknown,
  question: Question,
): Record<string, unknown> {
  const { envelope, entries }: Record<string, unknown> = isRecord(page) ? page : {}
  const said = openSigned(verifier, 'page', envelope, question)
  const bodies = (Array.isArray(entries) ? entries : []).map((entry: unknown) =>
    isRecord(entry) && typeof entry['body'] === 'string' ? entry['body'] : '',
  )
  // The digest stands for every entry's own signature, and for none having been left out.
  if (said['count'] !== bodies.length || said['sha256'] !== digestOf(bodies)) {
    throw refusal('altered', 'The entries of a pulled page are not those that were signed.')
  }
  return { ...said, entries: bodies.map(parsed) }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
