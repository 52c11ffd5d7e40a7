import { expect } from 'chai'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'
import { argumentParsers } from '../support/fuzz/command-cases.ts'
import { messageParsers } from '../support/fuzz/messages.ts'
import { settingParsers } from '../support/fuzz/setting-cases.ts'
import { tokenParsers } from '../support/fuzz/token-cases.ts'
import { createIssuer } from '../support/issuer.ts'
import { operations } from '../support/openapi.ts'
import { createSamples } from '../support/sample-calls.ts'

const page = readFileSync(join(checkout, 'docs', 'fuzzing.md'), 'utf8')
const named = new Set([...page.matchAll(/`([A-Za-z]+)`/g)].map(([, name]) => name ?? ''))
const [fed = ''] = page.split('These are not fed apart')
const READER = /^export (?:async )?function\*? ((?:parse|read|load)[A-Z][A-Za-z]*)/gm

/** Every reader that the sources export, but for what is no part of a running system. */
function readers(): string[] {
  return ['shared', 'notifier', 'poller'].flatMap((folder) =>
    readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .filter((file) => !/(?:^|\/)(?:browser|bench|demo|testing)\//.test(file))
      .flatMap((file) => {
        const text = readFileSync(join(checkout, folder, file), 'utf8')
        return [...text.matchAll(READER)].map(([, name]) => name ?? '')
      }),
  )
}

describe('what is fuzzed', () => {
  it('is every reader of the sources, or docs/fuzzing.md says why one is not', () => {
    expect(readers().filter((name) => !named.has(name))).to.deep.equal([])
  })

  it('is what docs/fuzzing.md says, and that says all of it', () => {
    const cases = [...messageParsers, ...tokenParsers, ...settingParsers, ...argumentParsers]
    const names = cases
      .map(({ name }) => name)
      .filter((name) => /^(?:parse|read|load)\w+$/.test(name))
    expect(names.filter((name) => !fed.includes(`\`${name}\``))).to.deep.equal([])
    const files = readdirSync(join(checkout, 'test', 'fuzz'))
    expect(files.filter((file) => !fed.includes(`\`${file}\``))).to.deep.equal([])
    const told = [...fed.matchAll(/`([a-z]+\.test\.ts)`/g)].map(([, file]) => file)
    expect(told.filter((file) => !files.includes(file ?? ''))).to.deep.equal([])
  })

  it('is every call of docs/openapi.json', () => {
    const samples = createSamples({ issuer: createIssuer(), basic: { authorization: 'Basic x' } })
    expect(
      [...operations.keys()].filter((call) => (samples[call] ?? []).length === 0),
    ).to.deep.equal([])
  })
})
