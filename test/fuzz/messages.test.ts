import fc from 'fast-check'
import { nearMiss } from '../support/near-miss.ts'
import { fuzzParser } from '../support/fuzz/fuzz-parsers.ts'
import { readOrRefuse } from '../support/fuzz/expectations.ts'
import { fuzz } from '../support/fuzz/fuzz.ts'
import { messageParsers } from '../support/fuzz/messages.ts'

describe('the readers of messages, fuzzed', function () {
  this.timeout(0)
  for (const { name, corpus, parse, codes } of messageParsers) {
    it(`${name} reads or refuses with a code whatever bytes come`, () => {
      fuzzParser({ name, corpus, parse, codes }, 1000)
    })

    it(`${name} reads or refuses with a code what is nearly right`, () => {
      const isJson = corpus.every((text) => /^[[{]/.test(text))
      if (!isJson) return
      const near = nearMiss(fc.constantFrom(...corpus).map((text) => JSON.parse(text) as unknown))
      const inputs = near.map(({ value }) => Buffer.from(JSON.stringify(value) ?? ''))
      fuzz(name, inputs, (bytes) => void readOrRefuse(() => parse(bytes), codes), { runs: 300 })
    })
  }
})
