import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseKeyEncryptionKeys } from '../../../shared/config/issuer-settings.ts'
import { problemsOf } from '../../../shared/config/problems.ts'
import { loadSettings, type Env } from '../../../shared/config/settings.ts'

const KEY = randomBytes(32)
const ENV: Env = {
  AMQP_URL: 'amqp://localhost',
  REDIS_URL: 'redis://localhost',
  API_KEYS: 'admin=0123456789abcdef:*',
  ISSUER: 'https://id.example',
  ISSUER_ENABLED: '1',
  KEY_ENCRYPTION_KEY: KEY.toString('hex'),
}
const load = (env: Env = {}) => loadSettings({ ...ENV, ...env }, 'notifier').issuer

function problemsIn(env: Env): readonly string[] {
  try {
    load(env)
    return []
  } catch (error) {
    return problemsOf(error)
  }
}

describe('The settings of issuing', () => {
  it('have their defaults, and are absent where issuing is off', () => {
    expect(load()).to.deep.equal({
      keyEncryptionKeys: [KEY],
      alg: 'ES256',
      accessSeconds: 300,
      refreshSeconds: 30 * 86_400,
      refreshGraceMs: 10_000,
      rotationCron: '0 4 1 * *',
      isStateful: false,
    })
    expect(load({ ISSUER_ENABLED: '0' })).to.equal(undefined)
    expect(load({ ISSUER_ENABLED: undefined, KEY_ENCRYPTION_KEY: undefined })).to.equal(undefined)
  })

  it('are refused without a key-encryption key, without an issuer, and with a life past the longest', () => {
    expect(problemsIn({ KEY_ENCRYPTION_KEY: undefined }).join()).to.match(/^KEY_ENCRYPTION_KEY: /)
    expect(problemsIn({ ISSUER: undefined }).join()).to.match(/^ISSUER_ENABLED: needs a tenant/)
    expect(problemsIn({ ACCESS_TTL: '61s', MAX_TOKEN_TTL: '60s' }).join()).to.match(/^ACCESS_TTL: /)
    expect(problemsIn({ ACCESS_TTL: '60s', MAX_TOKEN_TTL: '60s' })).to.deep.equal([])
  })

  it('name every value that is out of its bounds', () => {
    const found = problemsIn({
      ISSUER_ALG: 'none',
      ACCESS_TTL: '1500ms',
      REFRESH_TTL: '0s',
      REFRESH_GRACE: '61s',
      KEY_ROTATION_CRON: 'monthly',
      STATEFUL: 'yes',
    })
    expect(found.map((text) => text.split(':')[0])).to.deep.equal([
      'ISSUER_ALG',
      'ACCESS_TTL',
      'REFRESH_TTL',
      'REFRESH_GRACE',
      'KEY_ROTATION_CRON',
      'STATEFUL',
    ])
  })

  it('take 1 to 4 keys of 32 bytes, in place or from a file, and quote none', () => {
    const other = randomBytes(32)
    expect(
      parseKeyEncryptionKeys(`${KEY.toString('hex')} ${other.toString('base64url')}`),
    ).to.deep.equal([KEY, other])
    const folder = mkdtempSync(join(tmpdir(), 'knell-kek-'))
    try {
      const file = join(folder, 'kek')
      writeFileSync(file, `${KEY.toString('base64url')}\n`)
      expect(parseKeyEncryptionKeys(file)).to.deep.equal([KEY])
      const short = randomBytes(31).toString('hex')
      writeFileSync(file, short)
      const found = problemsIn({ KEY_ENCRYPTION_KEY: file }).join()
      expect(found)
        .to.match(/32 bytes/)
        .and.not.include(short)
      writeFileSync(
        file,
        Array.from({ length: 5 }, () => randomBytes(32).toString('hex')).join('\n'),
      )
      expect(problemsIn({ KEY_ENCRYPTION_KEY: file })).to.have.length(1)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
