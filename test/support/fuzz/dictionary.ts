/** What parsers have stumbled over before: put into inputs as it is. */

const bytes = (...values: number[]): Buffer => Buffer.from(values)

const brokenUtf8: readonly Buffer[] = [
  // A continuation without a beginning, a beginning without one, overlong, a surrogate, past U+10FFFF.
  bytes(0x80),
  bytes(0xc3, 0x28),
  bytes(0xc0, 0x80),
  bytes(0xe0, 0x80, 0xaf),
  bytes(0xed, 0xa0, 0x80),
  bytes(0xf4, 0x90, 0x80, 0x80),
  bytes(0xff, 0xfe),
]

const numbers: readonly string[] = [
  '-0',
  '-1',
  '1e400',
  '-1e400',
  '1e-400',
  '0.1',
  '1.5e3',
  '00',
  '0x10',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551616',
  '1'.repeat(400),
  'NaN',
  'Infinity',
]

const members: readonly string[] = [
  '"__proto__":{"polluted":true},',
  '"constructor":{"prototype":{"polluted":true}},',
  '"toString":1,',
  '"sub":"a","sub":"b",',
  '"v":1,"v":2,',
  '"events":[],',
]

const texts: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'hasOwnProperty',
  '\u0000',
  '\uFEFF',
  '\u2028',
  '\u202E',
  '\\ud800',
  '\\u0000',
  '\r\n',
  '\n\n',
  '%00',
  '%',
  '%zz',
  '..%2f',
  '*',
  '_all',
  "'; --",
  '{{7*7}}',
  '${7*7}',
  'null',
  'true',
  '[]',
  '{}',
  '""',
  ' ',
  '=',
  '&',
  ';',
  ',',
  '.',
  '..',
  '-',
  '+',
  '"',
  '\\',
]

const long: readonly string[] = [
  'a'.repeat(257),
  'a'.repeat(5000),
  ' '.repeat(3000),
  '\\'.repeat(1001),
  '0'.repeat(2000),
  'a.'.repeat(2000),
  'é'.repeat(1000),
  '['.repeat(9000),
  '{"a":'.repeat(3000),
  `${'['.repeat(4000)}${']'.repeat(4000)}`,
  `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`,
]

export const dictionary: readonly Buffer[] = [
  ...brokenUtf8,
  ...[...numbers, ...members, ...texts, ...long].map((text) => Buffer.from(text)),
]
