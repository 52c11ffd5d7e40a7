import { expect } from 'chai'
import { stripVTControlCharacters } from 'node:util'
import { hasColours } from '../../../shared/cli/terminal/colours.ts'
import { harmless } from '../../../shared/cli/terminal/print.ts'
import { planWidths, toList, toTable } from '../../../shared/cli/terminal/table.ts'
import { showDuration, showMs, showSeconds } from '../../../shared/cli/terminal/time.ts'

describe('tables', () => {
  it('align their columns without borders, and leave no blanks at the ends', () => {
    const text = stripVTControlCharacters(
      toTable(
        ['a', 'long head'],
        [
          ['x', 1],
          ['yyyy', null],
        ],
        80,
      ),
    )
    expect(text).to.equal('a     long head\nx     1\nyyyy  –')
  })

  it('wrap what does not fit, and lose nothing of it', () => {
    const id = 'r0-1795972112866-1-0'.repeat(3)
    const text = stripVTControlCharacters(toTable(['what', 'id'], [['revoked', id]], 40))
    for (const line of text.split('\n')) expect(line.length).to.be.at.most(40)
    expect(
      text
        .split('\n')
        .slice(1)
        .map((line) => line.slice(9).trim())
        .join(''),
    ).to.equal(id)
  })

  it('keep the words of their headings whole, however narrow it is', () => {
    const text = stripVTControlCharacters(
      toTable(['consumers', 'may be stale', 'x'], [['a'.repeat(40), 'b'.repeat(40), 'c']], 30),
    )
    const [first = '', second = ''] = text.split('\n')
    expect(`${first} ${second}`)
      .to.match(/\bconsumers\b/)
      .and.match(/\bmay be\b/)
      .and.match(/\bstale\b/)
  })

  it('are nothing where there is nothing', () => {
    expect(toTable(['a'], [])).to.equal('')
  })

  it('give way from the widest column on, and stop where nothing could be read', () => {
    expect(planWidths([5, 30, 10], 60)).to.deep.equal([5, 30, 10])
    expect(planWidths([5, 30, 10], 51)).to.deep.equal([5, 30, 10])
    expect(planWidths([5, 30, 10], 50)).to.deep.equal([5, 29, 10])
    expect(planWidths([5, 30, 30], 41)).to.deep.equal([5, 15, 15])
    expect(planWidths([5, 30, 30], 4)).to.deep.equal([5, 6, 6])
  })

  it('list names and values, and leave out what is undefined', () => {
    const text = stripVTControlCharacters(
      toList([
        ['a', 1],
        ['longer', null],
        ['gone', undefined],
      ]),
    )
    expect(text).to.equal('a       1\nlonger  –')
  })
})

describe('texts from elsewhere', () => {
  it('cannot steer the terminal', () => {
    expect(harmless('a\u001b[2Jb\rc\u009bd\u202ee')).to.equal(
      'a\\u001b[2Jb\\u000dc\\u009bd\\u202ee',
    )
    expect(harmless('naïve 字 — ok')).to.equal('naïve 字 — ok')
    expect(toTable(['a'], [['\u001b]0;x\u0007']], 80)).to.not.include('\u001b]0')
  })
})

describe('colours', () => {
  it('are for terminals, and for nobody who does not want them', () => {
    expect(hasColours({ isTTY: true }, {})).to.equal(true)
    expect(hasColours({ isTTY: true }, { NO_COLOR: '' })).to.equal(true)
    expect(hasColours({ isTTY: true }, { NO_COLOR: '1' })).to.equal(false)
    expect(hasColours({ isTTY: true }, { TERM: 'dumb' })).to.equal(false)
    expect(hasColours({ isTTY: false }, {})).to.equal(false)
    expect(hasColours({}, {})).to.equal(false)
  })
})

describe('times for people', () => {
  const rows: readonly (readonly [ms: number, text: string])[] = [
    [-5, '0 ms'],
    [0, '0 ms'],
    [999, '999 ms'],
    [1000, '1 s'],
    [1500, '1.5 s'],
    [9999, '10 s'],
    [10_000, '10 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [125_000, '2 min 5 s'],
    [3_600_000, '1 h'],
    [90_061_000, '1 d 1 h'],
  ]
  for (const [ms, text] of rows) {
    it(`shows ${ms} ms as ${text}`, () => {
      expect(showDuration(ms)).to.equal(text)
    })
  }

  it('shows moments in UTC to the second, and never fails', () => {
    expect(showSeconds(0)).to.equal('1970-01-01T00:00:00Z')
    expect(showMs(1_769_860_800_999)).to.equal('2026-01-31T12:00:00Z')
    expect(showSeconds(Number.NaN)).to.equal('NaN')
    expect(showSeconds(8e15)).to.equal('8000000000000000000')
  })
})
