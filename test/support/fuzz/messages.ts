import { parseAcks } from '../../../shared/domain/ack.ts'
import { parseBeat, parseTails, parseTtlSteps } from '../../../shared/domain/beat.ts'
import { parseMatch } from '../../../shared/domain/claims.ts'
import { parseEntry, parseJson, parseOutline, parseRule } from '../../../shared/domain/entry.ts'
import type { ErrorCode } from '../../../shared/domain/errors.ts'
import { parseHandled, parseHandles } from '../../../shared/domain/handled.ts'
import {
  isRetryMessage,
  parseDeadLetter,
  parseRetryMessage,
} from '../../../shared/domain/handler-messages.ts'
import { parseIndexes, parsePartialEntry } from '../../../shared/domain/partial-entry.ts'
import { readFound } from '../../../shared/broker/found-letter.ts'
import { signatures } from '../vectors.ts'
import { EventVerifier } from '../../../shared/signing/event-verifier.ts'
import { readPinnedKeys } from '../../../shared/signing/event-keys.ts'
import { readHeader } from '../../../shared/signing/detached-jws.ts'
import { readBatch } from '../../../shared/subscriber/handlers/batch.ts'
import {
  parseFeedPage,
  parseSnapshotHead,
  parseSnapshotLine,
} from '../../../shared/subscriber/messages.ts'
import * as corpus from './corpus.ts'

/** A parser, what it is fed, and the codes with which it may refuse. */
export interface ParserCase {
  /** As the source calls it. */
  readonly name: string
  readonly corpus: readonly string[]
  readonly parse: (input: Buffer) => unknown
  readonly codes: readonly ErrorCode[]
}

const MESSAGE: readonly ErrorCode[] = ['message_invalid']
const json = (bytes: Buffer): unknown => parseJson(bytes.toString('utf8'))
const lines = [
  ...corpus.snapshots.flatMap((text) => text.trimEnd().split('\n')),
  ...corpus.snapshotRuns,
]
const handled = corpus.acks.flatMap((text) =>
  [JSON.parse(text) as Record<string, unknown>]
    .flat()
    .flatMap((ack) => (ack['handled'] === undefined ? [] : [JSON.stringify(ack['handled'])])),
)
const verifier = new EventVerifier(readPinnedKeys(signatures.keys), signatures.namespace)
const [first] = signatures.signatures
const tenants = ['default']

function message(
  name: string,
  texts: readonly string[],
  parse: (value: unknown) => unknown,
  codes: readonly ErrorCode[] = MESSAGE,
): ParserCase {
  return {
    name,
    corpus: texts,
    parse: (bytes) => parse(json(bytes)),
    codes: [...codes, 'message_invalid'],
  }
}

/** What comes by AMQP, and in the answers that subscribers read. */
export const messageParsers: readonly ParserCase[] = [
  message('parseEntry', corpus.entries, parseEntry),
  message('parseOutline', corpus.entries, parseOutline),
  message('parseRule', corpus.rules, parseRule),
  message('parseMatch', corpus.matches, (value) => parseMatch(value), ['invalid_match']),
  message('parseBeat', corpus.beats, parseBeat),
  message('parseTails', ['[{"epoch":"1732212000000.9f2c","seq":5}]'], parseTails),
  message('parseTtlSteps', ['[{"from":0,"seconds":86400}]'], parseTtlSteps),
  message('parseAcks', corpus.acks, parseAcks),
  message('parseHandled', handled, parseHandled),
  message('parseHandles', ['{"kinds":["revoked","expired"],"maxAttempts":5}'], parseHandles),
  message('parseIndexes', ['[0,1,2,499]'], parseIndexes),
  message('parsePartialEntry', corpus.partials, parsePartialEntry),
  message('parseRetryMessage', corpus.retries, (value) =>
    isRetryMessage(value) ? parseRetryMessage(value, 'orders') : undefined,
  ),
  message('parseDeadLetter', corpus.deadLetters, parseDeadLetter),
  message('parseFeedPage', corpus.pages, (value) => parseFeedPage(value, 'default', 'revocations')),
  message('parseSnapshotHead', lines, (value) => parseSnapshotHead(value, 'default')),
  message('parseSnapshotLine', lines, parseSnapshotLine),
  {
    name: 'readBatch',
    corpus: [...corpus.entries, ...corpus.retries, ...corpus.partials],
    parse: (bytes) => readBatch(bytes, undefined, 0, { service: 'orders', tenants }),
    codes: MESSAGE,
  },
  {
    name: 'readFound',
    corpus: [...corpus.deadLetters, ...corpus.entries, ...corpus.retries],
    parse: (content) => {
      const properties = { headers: { 'x-death': JSON.parse(`[{"reason":"delivery_limit"}]`) } }
      // Only these two members are read.
      return readFound({ content, properties } as never, 'orders').letter
    },
    codes: [],
  },
  {
    name: 'readHeader',
    corpus: corpus.jws.map((text) => text.split('.')[0] ?? ''),
    parse: (bytes) => readHeader(bytes.toString('latin1')),
    codes: [],
  },
  {
    name: 'verify of EventVerifier',
    corpus: corpus.jws,
    parse(bytes) {
      const body = Buffer.from(first?.body ?? '')
      const text = bytes.toString('latin1')
      const verdict = verifier.verify('entry', body, text)
      const isOriginal = corpus.jws.includes(text)
      if (verdict === 'good' && !isOriginal) throw new Error('An altered signature is good.')
      return verdict
    },
    codes: [],
  },
]
