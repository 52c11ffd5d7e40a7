import { expect } from 'chai'
import { isSameOrigin } from '../../../notifier/ops/same-origin.ts'

const host = 'knell.example'

describe('where a call with the cookie of the dashboard comes from', () => {
  const rows: [string, Record<string, string>, forActing: boolean, forLooking: boolean][] = [
    ['the dashboard', { 'sec-fetch-site': 'same-origin', 'knell-via': 'ops' }, true, true],
    ['an address that was typed', { 'sec-fetch-site': 'none' }, false, true],
    ['its own page without the header', { 'sec-fetch-site': 'same-origin' }, false, true],
    ['another site', { 'sec-fetch-site': 'cross-site', 'knell-via': 'ops' }, false, false],
    ['a sister host', { 'sec-fetch-site': 'same-site', 'knell-via': 'ops' }, false, false],
    [
      'an older browser on its own origin',
      { origin: 'https://knell.example', 'knell-via': 'ops' },
      true,
      true,
    ],
    [
      'an older browser elsewhere',
      { origin: 'https://evil.example', 'knell-via': 'ops' },
      false,
      false,
    ],
    ['a page without an origin', { origin: 'null', 'knell-via': 'ops' }, false, false],
    ['a program', { 'knell-via': 'ops' }, true, true],
    ['a command line', { 'knell-via': 'cli' }, false, true],
    [
      'another site that names itself in Origin only',
      { origin: 'https://knell.example.evil.example', 'knell-via': 'ops' },
      false,
      false,
    ],
  ]
  for (const [who, headers, forActing, forLooking] of rows) {
    it(`${forActing ? 'lets' : 'does not let'} ${who} act, and ${forLooking ? 'lets' : 'does not let'} it look`, () => {
      expect(isSameOrigin({ host, ...headers }, true)).to.equal(forActing)
      expect(isSameOrigin({ host, ...headers }, false)).to.equal(forLooking)
    })
  }
})
