import { expect } from 'chai'
import { parseRedisUrl } from '../../../shared/config/redis-url.ts'
import { problems } from '../tokens/keys.ts'

const problemsIn = (text: string): string[] => problems(() => parseRedisUrl(text))

describe('Redis URL', () => {
  it('names one Redis', () => {
    expect(parseRedisUrl('redis://localhost')).to.deep.equal({
      kind: 'single',
      node: { host: 'localhost', port: 6379 },
      db: 0,
      tls: false,
    })
    expect(parseRedisUrl('rediss://kn%40ll:p%2Fw%3A@[::1]:7000/3')).to.deep.equal({
      kind: 'single',
      username: 'kn@ll',
      password: 'p/w:',
      node: { host: '::1', port: 7000 },
      db: 3,
      tls: true,
    })
    expect(parseRedisUrl('redis://:secret@h/')).to.deep.include({ password: 'secret', db: 0 })
  })

  it('names a cluster by a list', () => {
    expect(parseRedisUrl('rediss://:pw@h1:7000, rediss://:pw@h2/0')).to.deep.equal({
      kind: 'cluster',
      password: 'pw',
      nodes: [
        { host: 'h1', port: 7000 },
        { host: 'h2', port: 6379 },
      ],
      tls: true,
    })
  })

  it('names a Redis behind Sentinel', () => {
    expect(parseRedisUrl('redis+sentinel://h1,h2:5000/main/2')).to.deep.equal({
      kind: 'sentinel',
      sentinels: [
        { host: 'h1', port: 26379 },
        { host: 'h2', port: 5000 },
      ],
      master: 'main',
      db: 2,
      tls: false,
    })
    expect(parseRedisUrl('rediss+sentinel://u:pw@h1/main')).to.deep.equal({
      kind: 'sentinel',
      username: 'u',
      password: 'pw',
      sentinels: [{ host: 'h1', port: 26379 }],
      master: 'main',
      db: 0,
      tls: true,
    })
  })

  it('is refused in any other form, with the reason and without the password', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['hunter2', 'must begin with'],
      ['http://hunter2@h', 'must begin with'],
      ['redis:h', 'must begin with'],
      ['redis://', 'host'],
      ['redis://:hunter2@', 'URL'],
      ['redis://h:99999', 'URL'],
      ['redis://:hun/ter2@h', 'URL'],
      ['redis://h/x', 'database'],
      ['redis://h/-1', 'database'],
      ['redis://h/0/1', 'database'],
      ['redis://h?password=hunter2', '"?"'],
      ['redis://:hunter2%@h', 'percent-encoded'],
      ['redis://h1,h2', 'entry 2'],
      ['redis://h1,', 'entry 2'],
      ['redis://h1,redis://h2/1', 'database 0'],
      ['redis://h1,rediss://h2', 'same scheme'],
      ['redis://:hunter2@h1,redis://h2', 'same scheme'],
      ['redis+sentinel://h1', 'master'],
      ['redis+sentinel://h1//0', 'master'],
      ['redis+sentinel:///main', 'host'],
      ['redis+sentinel://h1,/main', 'host'],
      ['redis+sentinel://h1/main/x', 'database'],
      ['redis+sentinel://h1/main/0/1', 'database'],
    ]
    for (const [text, reason] of cases) {
      const found = problemsIn(text).join('; ')
      expect(found, text).to.contain(reason).and.not.to.contain('hunter2')
    }
  })
})
