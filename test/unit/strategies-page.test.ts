import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { plans } from '../../shared/cli/bench/strategies/plans.ts'
import { checkout } from '../../shared/cli/checkout.ts'

const page = readFileSync(join(checkout, 'docs', 'strategies.md'), 'utf8')

/** The first cells of the first table under a heading. */
function rowsUnder(heading: string): string[] {
  const [, text = ''] = page.split(`\n## ${heading}\n`)
  const lines = text.split('\n')
  const from = lines.findIndex((line) => /^\|[ :|-]+\|$/.test(line)) + 1
  const end = lines.findIndex((line, i) => i >= from && !line.startsWith('|'))
  return lines.slice(from, end).map((line) => line.split('|')[1]?.trim() ?? '')
}

describe('docs/strategies.md', () => {
  it('gives figures for every strategy that the bench runs, in its order, and for no other', () => {
    expect(rowsUnder('Measured')).to.deep.equal(plans.map(({ title }) => title))
  })

  it('describes every strategy that the bench runs', () => {
    const described = rowsUnder('The strategies').map((cell) => /\*\*(.+?)\*\*/.exec(cell)?.[1])
    expect(described).to.include.members(plans.map(({ title }) => title))
  })
})
