import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import { loadSettings, type Env } from '../../../shared/config/settings.ts'
import {
  openCertificates,
  type Certificate,
  type Certificates,
} from '../../support/certificates.ts'
import { needTool } from '../../support/tools.ts'
import { problems } from '../tokens/keys.ts'

const PLAIN: Env = {
  AMQP_URL: 'amqp://localhost',
  REDIS_URL: 'redis://localhost',
  API_KEYS: 'admin=correct-horse-battery:*',
}
const SECURE: Env = {
  ...PLAIN,
  AMQP_URL: 'amqps://localhost',
  REDIS_URL: 'redis+sentinel://a,b/main'.replace('redis', 'rediss'),
}
const load = (env: Env = {}) => loadSettings({ ...SECURE, ...env }, 'notifier')
const problemsIn = (env: Env, base = SECURE): string[] =>
  problems(() => loadSettings({ ...base, ...env }, 'notifier'))

describe('the settings of TLS', () => {
  let certificates: Certificates
  let one: Certificate
  let other: Certificate
  before(async function () {
    certificates = openCertificates(await needTool(this, 'openssl'))
    const authority = await certificates.authority('ca')
    one = await authority.issue('one')
    other = await authority.issue('other')
  })
  after(() => certificates?.remove())

  it('take PEM and the path of a file', () => {
    const settings = load({
      AMQP_CA: one.certFile,
      AMQP_CERT: one.cert.replaceAll('\n', '\\n'),
      AMQP_KEY: one.key,
      REDIS_CA: one.cert,
      TLS_CERT: one.certFile,
      TLS_KEY: one.keyFile,
      TLS_CLIENT_CA: one.certFile,
    })
    expect(settings.amqpTls?.hasCertificate).to.equal(true)
    expect(settings.redis.tlsClient?.hasCertificate).to.equal(false)
    expect(settings.serverTls).to.deep.equal({ ca: one.cert, cert: one.cert, key: one.key })
  })

  it('are of use without any of them where the URL is of TLS, and not at all where it is not', () => {
    expect(load().amqpTls).to.include({ hasCertificate: false })
    expect(load().redis.tlsClient?.options.rejectUnauthorized).to.equal(true)
    const plain = loadSettings(PLAIN, 'notifier')
    expect(plain).to.not.have.any.keys('amqpTls', 'serverTls')
    expect(plain.redis).to.not.have.property('tlsClient')
  })

  it('are refused beside a URL that speaks no TLS', () => {
    expect(problemsIn({ AMQP_CA: one.certFile, REDIS_KEY: one.keyFile }, PLAIN)).to.deep.equal([
      'AMQP_CA: it has no meaning while AMQP_URL speaks no TLS; begin that with amqps://',
      'REDIS_KEY: it has no meaning while REDIS_URL speaks no TLS; begin that with rediss://',
    ])
  })

  it('are refused with every problem at once, and no key is shown', () => {
    const empty = certificates.fileOf('empty', 'crt')
    writeFileSync(empty, 'nothing\n')
    const found = problemsIn({
      AMQP_CA: empty,
      AMQP_CERT: one.certFile,
      AMQP_KEY: other.keyFile,
      REDIS_CA: '/nowhere/ca.crt',
      REDIS_CERT: one.certFile,
      TLS_CERT: one.key,
      TLS_KEY: one.cert,
    })
    expect(found).to.deep.equal([
      'AMQP_CA: there is no certificate in PEM in it',
      'AMQP_KEY: it is not the key of the certificate',
      'REDIS_CA: the file cannot be read (ENOENT)',
      'REDIS_KEY: the certificate needs its key',
      'TLS_CERT: there is no certificate in PEM in it',
      'TLS_KEY: there is no private key in PEM in it',
    ])
  })

  it('need a certificate beside a key, and beside the authority of callers', () => {
    expect(problemsIn({ REDIS_KEY: one.keyFile })).to.deep.equal([
      'REDIS_CERT: the key needs its certificate',
    ])
    expect(problemsIn({ TLS_CLIENT_CA: one.certFile })).to.deep.equal([
      'TLS_CERT: TLS_CLIENT_CA needs it, and its key',
    ])
  })

  it('refuse an encrypted key in plain words', () => {
    const key = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nabc\n-----END ENCRYPTED PRIVATE KEY-----'
    expect(problemsIn({ TLS_CERT: one.certFile, TLS_KEY: key })).to.deep.equal([
      'TLS_KEY: the key is encrypted; give it without a passphrase',
    ])
  })

  it('know a mistyped name, and no variable of somebody else by two letters', () => {
    expect(problemsIn({ REDIS_CERTS: one.certFile })[0]).to.contain('did you mean REDIS_CERT?')
    expect(load({ REDIS_PORT: 'tcp://10.0.0.1:6379', REDIS_DB: '1' }).kind).to.equal('notifier')
    const plain = { ...PLAIN, REDIS_CERTS: 'of another program' }
    expect(loadSettings(plain, 'notifier').kind).to.equal('notifier')
  })
})
