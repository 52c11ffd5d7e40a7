import { expect } from 'chai'
import { parseAcks } from '../../../shared/domain/ack.ts'
import { parseBeat } from '../../../shared/domain/beat.ts'
import { parseEntry } from '../../../shared/domain/entry.ts'
import { isKnellError } from '../../../shared/domain/errors.ts'
import { parseRetryMessage } from '../../../shared/domain/handler-messages.ts'

/** Arrays in arrays, deeper than a stack. */
const deep = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`) as unknown

const readers: Readonly<Record<string, (value: { v: unknown }) => unknown>> = {
  parseAcks: (value) => parseAcks([value]),
  parseBeat,
  parseEntry,
  parseRetryMessage: (value) => parseRetryMessage(value, 'mailer'),
}

describe('the version of a message', () => {
  for (const [name, read] of Object.entries(readers)) {
    for (const [told, v, text] of [
      ['a later one', 2, 'version 2'],
      ['none', undefined, 'no number'],
      ['a text', '1', 'no number'],
      ['arrays without end', deep, 'no number'],
    ] as const) {
      it(`is refused by ${name} with a code and in words where it is ${told}`, () => {
        let found: unknown
        try {
          read({ v })
        } catch (error) {
          found = error
        }
        if (!isKnellError(found, 'message_invalid')) throw found
        expect(found.message).to.include(text).and.to.have.length.below(200)
      })
    }
  }
})
