import { argumentParsers } from '../support/fuzz/command-cases.ts'
import { fuzzParser } from '../support/fuzz/fuzz-parsers.ts'
import { settingParsers } from '../support/fuzz/setting-cases.ts'
import { tokenParsers } from '../support/fuzz/token-cases.ts'

const kinds = {
  'tokens and keys': { parsers: tokenParsers, runs: 500 },
  'settings, headers and forms': { parsers: settingParsers, runs: 200 },
  'the command line': { parsers: argumentParsers, runs: 800 },
}

for (const [what, { parsers, runs }] of Object.entries(kinds)) {
  describe(`the readers of ${what}, fuzzed`, function () {
    this.timeout(0)
    for (const parser of parsers) {
      it(`${parser.name} reads or refuses with a code whatever comes`, () => {
        fuzzParser(parser, runs)
      })
    }
  })
}
