import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { loadClients, parseClients } from '../../../shared/config/clients.ts'
import { problems } from '../tokens/keys.ts'

const SECRET = 'correct-horse-battery'
const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

describe('OAuth clients', () => {
  it('are known by their own secret, and public ones by none', () => {
    const ring = parseClients({
      shop: { secret: SECRET, audiences: ['https://api.example'], introspect: true },
      app: { tenant: 'acme' },
      hashed: { secret: `sha256.${digest('x').toUpperCase()}` },
    })
    const shop = ring.authenticate('shop', SECRET)
    expect(shop).to.deep.include({ tenant: 'default', isPublic: false, mayIntrospect: true })
    expect([...(shop?.audiences ?? [])]).to.deep.equal(['https://api.example'])
    const app = ring.authenticate('app', undefined)
    expect(app).to.deep.include({ tenant: 'acme', isPublic: true, mayIntrospect: false })
    expect(app?.audiences).to.equal(undefined)
    expect(ring.authenticate('hashed', 'x')?.clientId).to.equal('hashed')
    const wrong: [string, string | undefined][] = [
      ['shop', undefined],
      ['shop', ''],
      ['shop', `${SECRET}!`],
      ['shop', digest(SECRET)],
      ['app', SECRET],
      ['app', ''],
      ['hashed', `sha256.${digest('x')}`],
      ['nobody', SECRET],
      ['nobody', undefined],
      ['__proto__', undefined],
      ['constructor', undefined],
      ['', undefined],
    ]
    for (const [id, secret] of wrong) {
      expect(ring.authenticate(id, secret), `${id} ${secret}`).to.equal(undefined)
    }
  })

  it('with a secret that is the empty text’s digest let nobody in without one', () => {
    const ring = parseClients({ odd: { secret: `sha256.${digest('')}` } })
    expect(ring.authenticate('odd', undefined)).to.equal(undefined)
  })

  it('keep no secret', () => {
    expect(JSON.stringify(parseClients({ a: { secret: SECRET } }))).not.to.contain(SECRET)
  })

  it('list every problem at once, by name and without a secret', () => {
    const found = problems(() =>
      parseClients(
        {
          [SECRET]: 'x',
          'with space': {},
          short: { secret: 'hunter2' },
          half: { secret: 'sha256.ab' },
          number: { secret: 1234567890123456 },
          typo: { secrets: SECRET },
          strange: { [SECRET]: true },
          lost: { tenant: 'nowhere' },
          open: { introspect: true },
          maybe: { secret: SECRET, introspect: 'yes' },
          none: { audiences: [] },
          odd: { audiences: [5] },
          two: { tenant: SECRET, audiences: 'x' },
        },
        (tenant) => tenant === 'default',
      ),
    )
    expect(found.join('\n')).not.to.contain(SECRET).and.not.to.contain('hunter2')
    const starts = [
      'client 1 must be a client_id',
      'client 2 must be a client_id',
      'client "short" needs a "secret" of 16',
      'client "half" needs 64 hexadecimal digits',
      'client "number" needs a "secret" of 16',
      'client "typo" has an unknown member at place 1; did you mean "secret"?',
      'client "strange" has an unknown member at place 1; known are',
      'client "lost" needs in "tenant"',
      'client "open" has "introspect" and no "secret"',
      'client "maybe" needs true or false',
      'client "none" needs in "audiences"',
      'client "odd" needs in "audiences"',
      'client "two" needs in "tenant"',
      'client "two" needs in "audiences"',
    ]
    expect(found).to.have.length(starts.length)
    for (const [index, start] of starts.entries()) {
      expect(found[index]).to.satisfy((text: string) => text.startsWith(start), start)
    }
  })

  it('are none without a file, and a file that is none says so by its name', () => {
    expect(loadClients(undefined, () => true).clients).to.deep.equal([])
    const folder = mkdtempSync(join(tmpdir(), 'knell-clients-'))
    const path = join(folder, 'clients.json')
    try {
      const load = (): unknown => loadClients(path, () => true)
      expect(problems(load)).to.deep.equal([
        `CLIENTS_FILE: ${path}: the file cannot be read (ENOENT)`,
      ])
      for (const text of ['', `{"a":{"secret":"${SECRET}"}`, '[]', '"x"', 'null']) {
        writeFileSync(path, text)
        const [problem, ...more] = problems(load)
        expect(more).to.deep.equal([])
        expect(problem).to.contain('CLIENTS_FILE: ').and.not.to.contain(SECRET)
      }
      writeFileSync(path, `\ufeff{"a":{"secret":"${SECRET}"}}`)
      expect(loadClients(path, () => true).authenticate('a', SECRET)?.clientId).to.equal('a')
      const misplaced = problems(() => loadClients(`{"a":{"secret":"${SECRET}"}}`, () => true))
      expect(misplaced.join()).not.to.contain(SECRET)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
