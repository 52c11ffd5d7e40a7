import { expect } from 'chai'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../../shared/cli/checkout.ts'
import { exitCodes } from '../../../shared/cli/exit.ts'
import { createProgram } from '../../../shared/cli/program.ts'
import { leavesOf, referenceOf } from '../../support/cli-reference.ts'

const path = join(checkout, 'docs', 'cli.md')
const [BEGIN, END] = ['<!-- commands: begin -->', '<!-- commands: end -->']

describe('docs/cli.md', () => {
  it('says of every command what its help says', () => {
    const text = readFileSync(path, 'utf8')
    const [head = '', rest = ''] = text.split(BEGIN)
    const [found = '', foot = ''] = rest.split(END)
    const wanted = referenceOf(createProgram())
    // KNELL_WRITE_DOCS=1 writes the page instead of comparing it.
    if (process.env['KNELL_WRITE_DOCS'] === '1') {
      writeFileSync(path, `${head}${BEGIN}\n\n${wanted}\n\n${END}${foot}`)
      return
    }
    expect(found.trim()).to.equal(wanted)
  })

  it('gives every exit code its number, and no other', () => {
    const text = readFileSync(path, 'utf8')
    const [, section = ''] = text.split('## Exit codes')
    const rows = [...section.split('\n## ')[0]!.matchAll(/^\| (\d+) +\| /gm)].map(([, code]) =>
      Number(code),
    )
    expect(rows).to.deep.equal(Object.values(exitCodes))
  })

  it('describes every option', () => {
    for (const [name, command] of leavesOf(createProgram())) {
      for (const option of command.options) {
        expect(option.description, `${name} ${option.flags}`).to.match(/\w/)
      }
    }
  })
})
