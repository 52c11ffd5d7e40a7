import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { createKeyRing, parseApiKeys, type Scope } from '../../../shared/config/api-keys.ts'
import { problems } from '../tokens/keys.ts'

const SECRET = 'correct-horse-battery'
const problemsIn = (text: string): string[] => problems(() => parseApiKeys(text))

describe('API keys', () => {
  it('are read with their scopes and tenants', () => {
    const [issuer, admin, ...more] = parseApiKeys(
      `issuer=${SECRET}:tokens:write+revocations:write@acme+globex  admin=${SECRET}2:*`,
    )
    expect(more).to.deep.equal([])
    expect(issuer).to.include({ name: 'issuer' })
    expect(issuer?.scopes).to.deep.equal(['tokens:write', 'revocations:write'])
    expect(issuer?.tenants).to.deep.equal(['acme', 'globex'])
    expect(admin).to.include({ name: 'admin', tenants: '*' })
    expect(admin?.scopes).to.deep.equal(['*'])
  })

  it('keep no secret, only its digest', () => {
    const [key] = parseApiKeys(`a=${SECRET}:*`)
    const digest = createHash('sha256').update(SECRET).digest()
    expect(Buffer.from(key?.sha256 ?? [])).to.deep.equal(digest)
    expect(JSON.stringify(key)).not.to.contain(SECRET)
  })

  it('may be given by the digest of their secret', () => {
    const hex = createHash('sha256').update('x').digest('hex')
    for (const digest of [hex, hex.toUpperCase()]) {
      const ring = createKeyRing(parseApiKeys(`a=sha256.${digest}:ops:read`))
      expect(ring.authenticate('x')?.name).to.equal('a')
      expect(ring.authenticate(`sha256.${digest}`)).to.equal(undefined)
    }
    expect(problemsIn(`a=sha256.${hex.slice(1)}:*`)[0]).to.contain('64 hexadecimal digits')
  })

  it('are read from several lines with comments', () => {
    const keys = parseApiKeys(
      `# who may do what\n\n a=${SECRET}1:*   # the admin\r\nb=${SECRET}#2:ops:read b2=${SECRET}3:*\n#c=${SECRET}4:*`,
    )
    expect(keys.map((key) => key.name)).to.deep.equal(['a', 'b', 'b2'])
    expect(createKeyRing(keys).authenticate(`${SECRET}#2`)?.name).to.equal('b')
  })

  it('may have "=" in their secret, as base64 does', () => {
    const ring = createKeyRing(parseApiKeys('a=MDEyMzQ1Njc4OWFiY2Rl==:*'))
    expect(ring.authenticate('MDEyMzQ1Njc4OWFiY2Rl==')?.name).to.equal('a')
  })

  it('are none where there is no text', () => {
    for (const text of ['', ' \n ', '# nothing']) expect(parseApiKeys(text)).to.deep.equal([])
  })

  it('need a secret of 16 characters of printable ASCII', () => {
    expect(parseApiKeys(`a=${'x'.repeat(16)}:*`)).to.have.length(1)
    for (const secret of ['x'.repeat(15), '', `${'x'.repeat(16)}é`]) {
      expect(problemsIn(`a=${secret}:*`)[0]).to.match(/^key "a" needs a secret/)
    }
  })

  it('list every problem at once, by name and without a secret', () => {
    const found = problemsIn(
      [
        SECRET,
        `=${SECRET}:*`,
        'short=hunter2:*',
        `noscope=${SECRET}1`,
        `typo=${SECRET}2:tokens:wrte`,
        `strange=${SECRET}3:${SECRET}`,
        `empty=${SECRET}4:`,
        `tenant=${SECRET}5:*@_all`,
        `none=${SECRET}6:*@`,
        `twice=${SECRET}7:*`,
        `twice=${SECRET}8:*`,
        `same=${SECRET}7:*`,
      ].join(' '),
    )
    expect(found).to.have.length(11)
    expect(found.join('\n')).not.to.contain(SECRET).and.not.to.contain('hunter2')
    for (const [index, start] of [
      'key 1 must have the form',
      'key 2 must have the form',
      'key "short" needs a secret',
      'key "noscope" needs ":"',
      'key "typo" has an unknown scope at place 1; did you mean tokens:write?',
      'key "strange" has an unknown scope',
      'key "empty" has an unknown scope',
      'key "tenant" needs, after "@"',
      'key "none" needs, after "@"',
      'key "twice" is there twice',
      'keys "twice" and "same" have the same secret',
    ].entries()) {
      expect(found[index]).to.satisfy((text: string) => text.startsWith(start), start)
    }
  })
})

describe('key ring', () => {
  const ring = createKeyRing(
    parseApiKeys(`reader=${SECRET}1:feed:read+ops:read@acme admin=${SECRET}2:*`),
  )

  it('knows a caller by the exact secret', () => {
    expect(ring.authenticate(`${SECRET}1`)?.name).to.equal('reader')
    expect(ring.authenticate(`${SECRET}2`)?.name).to.equal('admin')
    for (const secret of ['', SECRET, `${SECRET}1 `, `${SECRET}3`, 'reader', 'x'.repeat(100_000)]) {
      expect(ring.authenticate(secret)).to.equal(undefined)
    }
  })

  it('says what a key may do, and to which tenants', () => {
    const [reader, admin] = ring.keys
    const may = (scope: Exclude<Scope, '*'>): unknown[] => ring.keys.map((key) => key.allows(scope))
    expect(may('feed:read')).to.deep.equal([true, true])
    expect(may('ops:write')).to.deep.equal([false, true])
    expect(may('audit:read')).to.deep.equal([false, true])
    expect([reader?.mayUse('acme'), admin?.mayUse('acme')]).to.deep.equal([true, true])
    expect([reader?.mayUse('globex'), admin?.mayUse('globex')]).to.deep.equal([false, true])
  })

  it('lets nobody in when it is empty', () => {
    expect(createKeyRing([]).authenticate('')).to.equal(undefined)
  })
})
