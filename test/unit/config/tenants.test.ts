import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { loadTenants, type TenantSettings } from '../../../shared/config/tenants.ts'
import { ec256, jwkOf, problems, rsa, weakRsa } from '../tokens/keys.ts'

const JWKS = { keys: [jwkOf(ec256.publicKey, { kid: 'k1' })] }
const ISSUER = 'https://issuer.example'

const one = (env: Readonly<Record<string, string>>): TenantSettings | undefined =>
  loadTenants(env).get('default')

describe('tenants', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'knell-tenants-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  function fileOf(value: unknown, name = 'tenants.json'): string {
    const path = join(folder, name)
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value))
    return path
  }
  const load = (value: unknown, env = {}): ReturnType<typeof loadTenants> =>
    loadTenants({ TENANTS_FILE: fileOf(value), ...env })
  const problemsIn = (value: unknown, env = {}): string[] => problems(() => load(value, env))

  describe('without a file', () => {
    it('are one, called default, that verifies nothing', () => {
      const expected = {
        tenant: 'default',
        maxTokenTtlSeconds: 86_400,
        expiringLeadSeconds: [],
        issuerSkewSeconds: 0,
        maxTokens: 10_000_000,
      }
      expect([...loadTenants({})]).to.deep.equal([['default', expected]])
      expect([...loadTenants({ ISSUER: '', JWT_KEYS: ' ' })]).to.deep.equal([['default', expected]])
    })

    it('are set by variables', () => {
      const settings = loadTenants({
        ISSUER,
        JWT_KEYS: JSON.stringify(JWKS),
        MAX_TOKEN_TTL: '15m',
        ISSUER_SKEW: '5s',
        EXPIRING_LEAD: '5m, 60s',
        MAX_TOKENS: '1000',
      }).get('default')
      expect(settings).to.include({ issuer: ISSUER, maxTokenTtlSeconds: 900, issuerSkewSeconds: 5 })
      expect(settings).to.deep.include({ expiringLeadSeconds: [60, 300], maxTokens: 1000 })
      expect(settings?.keySet?.kids).to.deep.equal(['k1'])
    })

    it('may have keys that a provider publishes, and take its logout tokens', () => {
      const env = { ISSUER, JWKS_URI: 'https://id.example/jwks', LOGOUT_AUDIENCE: 'web, app' }
      const settings = loadTenants(env).get('default')
      expect(settings).to.include({ issuer: ISSUER, jwksUri: 'https://id.example/jwks' })
      expect(settings?.logoutAudience).to.deep.equal(['web', 'app'])
      expect(settings).to.not.have.property('keySet')
      const rows: readonly (readonly [string, Record<string, string>])[] = [
        ['JWKS_URI: is there beside keys', { ...env, JWT_KEYS: JSON.stringify(JWKS) }],
        ['JWKS_URI: expected an https:// URL', { ...env, JWKS_URI: 'http://id.example/jwks' }],
        [
          'JWKS_URI: expected an https:// URL',
          { ...env, JWKS_URI: 'https://a:hunter2@id.example' },
        ],
        ['LOGOUT_AUDIENCE: expected', { ...env, LOGOUT_AUDIENCE: 'web,,app' }],
        ['LOGOUT_AUDIENCE: needs keys', { ISSUER, LOGOUT_AUDIENCE: 'web' }],
        ['ISSUER: is missing', { JWKS_URI: env.JWKS_URI }],
      ]
      for (const [start, bad] of rows) {
        const found = problems(() => loadTenants(bad))
        expect(found, JSON.stringify(bad)).to.have.length(1)
        expect(found[0]).to.satisfy((text: string) => text.startsWith(start), start)
        expect(found[0]).to.not.include('hunter2')
      }
    })

    it('may have an issuer and no keys, but no keys without an issuer', () => {
      expect(loadTenants({ ISSUER }).get('default')).to.not.have.property('keySet')
      const found = problems(() => loadTenants({ JWT_KEYS: JSON.stringify(JWKS) }))
      expect(found).to.have.length(1)
      expect(found[0]).to.match(/^ISSUER: is missing/)
    })

    it('may have their keys in a file', () => {
      const JWT_KEYS = fileOf(JWKS, 'jwks.json')
      const tenants = loadTenants({ ISSUER, JWT_KEYS })
      expect(tenants.get('default')?.keySet?.kids).to.deep.equal(['k1'])
    })

    it('are refused with every problem at once, and no key is shown', () => {
      const found = problems(() =>
        loadTenants({
          ISSUER: 'a\nb',
          JWT_KEYS: 'hunter2',
          MAX_TOKEN_TTL: '0s',
          ISSUER_SKEW: '61s',
          EXPIRING_LEAD: '60s,0s',
          MAX_TOKENS: '0',
        }),
      )
      expect(found.map((text) => text.split(':')[0])).to.have.members([
        'EXPIRING_LEAD',
        'MAX_TOKENS',
        'ISSUER',
        'ISSUER_SKEW',
        'JWT_KEYS',
        'MAX_TOKEN_TTL',
      ])
      expect(found.join('\n')).not.to.contain('hunter2')
      const weak = JSON.stringify({
        keys: [jwkOf(weakRsa.publicKey), { kty: 'oct', k: 'aHVudGVyMg' }],
      })
      expect(problems(() => loadTenants({ JWT_KEYS: weak }))).to.have.length(3)
    })

    it('take a longest life from 1s to 366d and a skew from 0s to 60s', () => {
      expect(one({ MAX_TOKEN_TTL: '1s' })?.maxTokenTtlSeconds).to.equal(1)
      expect(one({ MAX_TOKEN_TTL: '366d' })?.maxTokenTtlSeconds).to.equal(31_622_400)
      expect(one({ ISSUER_SKEW: '60s' })?.issuerSkewSeconds).to.equal(60)
      expect(one({ ISSUER_SKEW: '0s' })?.issuerSkewSeconds).to.equal(0)
      for (const text of ['0s', '999ms', '1500ms', '367d', '24'])
        problems(() => one({ MAX_TOKEN_TTL: text }))
      for (const text of ['61s', '500ms', '-1s', '5']) problems(() => one({ ISSUER_SKEW: text }))
    })
  })

  describe('of a file', () => {
    it('are read with all their members', () => {
      fileOf(JWKS, 'acme.json')
      const tenants = load({
        acme: {
          issuer: 'https://acme.example',
          jwks: 'acme.json',
          maxTokenTtl: '12h',
          expiringLead: ['300s', '60s', '1m'],
          issuerSkew: '3s',
          maxTokens: 500,
        },
        globex: { issuer: 'https://globex.example', keys: [{ secret: 's'.repeat(32) }] },
        initech: {},
      })
      expect([...tenants.keys()]).to.deep.equal(['acme', 'globex', 'initech'])
      expect(tenants.get('acme')).to.deep.include({
        tenant: 'acme',
        maxTokenTtlSeconds: 43_200,
        expiringLeadSeconds: [60, 300],
        issuerSkewSeconds: 3,
        maxTokens: 500,
      })
      expect(tenants.get('acme')?.keySet?.kids).to.deep.equal(['k1'])
      expect(tenants.get('globex')?.keySet?.kids).to.deep.equal([])
      expect(tenants.get('initech')).to.not.have.any.keys('issuer', 'keySet')
      expect(tenants.get('default')).to.equal(undefined)
    })

    it('take a JWK set in place, too', () => {
      const tenants = load({ a: { issuer: ISSUER, keys: JWKS } })
      expect(tenants.get('a')?.keySet?.kids).to.deep.equal(['k1'])
    })

    it('inherit the longest life and the skew of the environment', () => {
      const env = { MAX_TOKEN_TTL: '2h', ISSUER_SKEW: '7s' }
      const tenants = load({ a: {}, b: { maxTokenTtl: '3h', issuerSkew: '0s' } }, env)
      expect(tenants.get('a')).to.include({ maxTokenTtlSeconds: 7200, issuerSkewSeconds: 7 })
      expect(tenants.get('b')).to.include({ maxTokenTtlSeconds: 10_800, issuerSkewSeconds: 0 })
      expect(problemsIn({ a: {}, b: {} }, { MAX_TOKEN_TTL: 'x' })).to.have.length(1)
    })

    it('inherit lead times and quota of the environment, too', () => {
      const env = { EXPIRING_LEAD: '60s', MAX_TOKENS: '7' }
      const tenants = load({ a: {}, b: { expiringLead: [], maxTokens: 8 } }, env)
      expect(tenants.get('a')).to.deep.include({ expiringLeadSeconds: [60], maxTokens: 7 })
      expect(tenants.get('b')).to.deep.include({ expiringLeadSeconds: [], maxTokens: 8 })
      expect(
        problemsIn({ a: {}, b: {} }, { EXPIRING_LEAD: '60', MAX_TOKENS: '1e3' }),
      ).to.have.length(2)
    })

    it('must have different issuers', () => {
      const found = problemsIn({ a: { issuer: ISSUER }, b: { issuer: ISSUER } })
      expect(found).to.deep.equal(['TENANTS_FILE: tenants "a" and "b" have the same issuer'])
    })

    it('leave no room for ISSUER and JWT_KEYS', () => {
      const found = problemsIn({ a: {} }, { ISSUER, JWT_KEYS: JSON.stringify(JWKS) })
      expect(found.map((text) => text.split(':')[0])).to.deep.equal(['ISSUER', 'JWT_KEYS'])
      const more = { JWKS_URI: 'https://id.example/jwks', LOGOUT_AUDIENCE: 'web' }
      expect(problemsIn({ a: {} }, more).map((text) => text.split(':')[0])).to.deep.equal([
        'JWKS_URI',
        'LOGOUT_AUDIENCE',
      ])
    })

    it('are refused with every problem of every tenant at once', () => {
      fileOf('no json', 'bad.json')
      const found = problemsIn({
        _all: {},
        'bad name': {},
        list: [],
        weak: { issuer: 'w', keys: [{ secret: 'hunter2' }, { jwk: jwkOf(weakRsa.publicKey) }] },
        keyless: { keys: [{ jwk: jwkOf(rsa.publicKey) }] },
        typo: { maxTokenTTL: '1h', color: 'red' },
        times: { maxTokenTtl: 3600, expiringLead: ['0s'], issuerSkew: '2m' },
        leads: { expiringLead: '60s' },
        quota: { maxTokens: '500' },
        both: { issuer: 'b', keys: JWKS, jwks: 'jwks.json' },
        text: { issuer: 't', keys: './jwks.json' },
        gone: { issuer: 'g', jwks: 'gone.json' },
        broken: { issuer: 'x', jwks: 'bad.json' },
        number: { issuer: 5, jwks: 5 },
      })
      const expected: readonly (readonly [string, string])[] = [
        ['_all', 'a name is'],
        ['bad name', 'a name is'],
        ['list', 'expected an object'],
        ['weak', 'keys: key 1 has a secret of 7 bytes'],
        ['weak', 'keys: key 2 is an RSA key of 1024 bits'],
        ['keyless', 'issuer: is missing'],
        ['typo', 'unknown member "maxTokenTTL"; did you mean "maxTokenTtl"?'],
        ['typo', 'unknown member "color"; known are'],
        ['times', 'maxTokenTtl: expected a text'],
        ['times', 'expiringLead: expected whole seconds from 1s'],
        ['times', 'issuerSkew: expected whole seconds from 0s to 60s, found "2m"'],
        ['leads', 'expiringLead: expected a list'],
        ['quota', 'maxTokens: expected a whole number from 1 to 999999999, found "500"'],
        ['both', 'has both "keys" and "jwks"'],
        ['text', 'keys: is a text'],
        ['gone', 'jwks: the file cannot be read (ENOENT)'],
        ['broken', 'jwks: the file is not JSON'],
        ['number', 'jwks: expected the path'],
        ['number', 'issuer: must be a string'],
      ]
      expect(found).to.have.length(expected.length)
      for (const [index, [tenant, start]] of expected.entries()) {
        const text = `TENANTS_FILE: tenant "${tenant}": ${start}`
        expect(found[index]?.slice(0, text.length)).to.equal(text)
      }
      expect(found.join('\n')).not.to.contain('hunter2')
    })

    it('are refused where the file is absent, no JSON, no object or empty', () => {
      const gone = problems(() => loadTenants({ TENANTS_FILE: join(folder, 'gone.json') }))
      expect(gone[0]).to.contain('gone.json').and.to.contain('ENOENT')
      for (const text of ['', '{', '[]', 'null', '{}', '5']) {
        expect(problemsIn(text), text).to.have.length(1)
      }
      const inline = problems(() => loadTenants({ TENANTS_FILE: '{"a":{"keys":["hunter2"]}}' }))
      expect(inline[0]).not.to.contain('hunter2')
    })
  })
})
