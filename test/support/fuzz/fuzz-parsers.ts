import { expect } from 'chai'
import { readOrRefuse } from './expectations.ts'
import { fuzz } from './fuzz.ts'
import type { ParserCase } from './messages.ts'
import { mutated } from './mutator.ts'

/** Feeds a parser mutated bytes. What it began from it must be able to read, or nothing behind its first look was tried. */
export function fuzzParser({ name, corpus, parse, codes }: ParserCase, runs: number): void {
  const good = corpus.map((text) => readOrRefuse(() => parse(Buffer.from(text)), codes))
  expect(
    good.some((read) => read !== undefined),
    `${name} reads a good input`,
  ).to.equal(true)
  const check = (bytes: Buffer): void => void readOrRefuse(() => parse(bytes), codes)
  fuzz(name, mutated(corpus), check, { runs })
}
