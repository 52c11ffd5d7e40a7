import { expect } from 'chai'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'

/** The faults of the list, by number. */
const faults = [
  [1, 20],
  [22, 41],
  [43, 50],
  [52, 62],
  [64, 67],
  [69, 73],
  [75, 76],
].flatMap(([from = 0, to = 0]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))

const page = readFileSync(join(checkout, 'docs/faults.md'), 'utf8')
const rows = page
  .split('\n')
  .filter((line) => /^\| \d/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))

/** The titles of the tests in a file, as they stand in it. */
function titlesIn(file: string): string[] {
  const text = readFileSync(join(checkout, file), 'utf8')
  return [...text.matchAll(/\bit\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs)].map(
    ([, , title = '']) => title,
  )
}

describe('docs/faults.md', () => {
  it('has each fault of the list once, in order', () => {
    expect(rows.map(([, number]) => Number(number))).to.deep.equal(faults)
  })

  it('names only tests that there are', () => {
    for (const [, number, , , cell = ''] of rows) {
      for (const named of cell.matchAll(/\]\(\.\.\/(test\/[^)]+)\) “([^”]+)”/g)) {
        const [, file = '', title = ''] = named
        expect(existsSync(join(checkout, file)), `${number}: ${file}`).to.equal(true)
        const titles = titlesIn(file)
        expect(
          titles.some((each) => each.includes(title)),
          `${number}: ${file}: ${title}`,
        ).to.equal(true)
      }
    }
  })

  it('says for every fault by what it is tested, or why it is not', () => {
    for (const [, number, , outcome = '', cell = ''] of rows) {
      const isTested = /\]\(\.\.\/test\/[^)]+\) “/.test(cell)
      expect(isTested || cell.startsWith('not covered'), `${number}`).to.equal(true)
      expect(outcome === '–', `${number}: an outcome where there is a test`).to.equal(!isTested)
    }
  })

  it('names every file of test/faults', () => {
    for (const file of readdirSync(join(checkout, 'test/faults'))) {
      expect(page).to.include(`(../test/faults/${file})`)
    }
  })
})
