import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'

type Module = Readonly<Record<string, unknown>>

/** What services import, by its name: the file that they load, and the module it is made of. */
const entries = Object.entries(
  (
    JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
      exports: Record<string, string | { types: string; default: string }>
    }
  ).exports,
).flatMap(([path, files]) => {
  if (typeof files === 'string') return []
  return [{ name: path.replace(/^\./, 'knell'), made: files.types.replace(/\.d\.ts$/, '.js') }]
})

async function load(name: string): Promise<Module> {
  return (await import(name)) as Module
}

describe('the package', () => {
  it('exports what services import', () => {
    expect(entries.map(({ name }) => name)).to.include.members(['knell', 'knell/subscriber'])
  })

  for (const { name, made } of entries) {
    it(`has in ${name} all that its module exports`, async () => {
      const [bundled, whole] = await Promise.all([load(name), load(join(checkout, made))])
      expect(Object.keys(bundled)).to.have.members(Object.keys(whole))
    })
  }

  it('has one class of errors, whatever is imported', async () => {
    const modules = await Promise.all(entries.map(({ name }) => load(name)))
    const classes = modules.flatMap(({ KnellError }) =>
      KnellError === undefined ? [] : [KnellError],
    )
    expect(classes.length).to.be.above(1)
    expect(new Set(classes).size).to.equal(1)
  })
})
