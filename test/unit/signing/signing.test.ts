import { expect } from 'chai'
import { FlattenedSign, flattenedVerify } from 'jose'
import { generateKeyPairSync, sign } from 'node:crypto'
import { SIGNATURE_HEADER, typOf, writeHeader } from '../../../shared/signing/detached-jws.ts'
import { digestOf } from '../../../shared/signing/digest.ts'
import {
  publicJwks,
  readPinnedKeys,
  readSigningKeys,
  type EventKeyInput,
} from '../../../shared/signing/event-keys.ts'
import { EventSigner } from '../../../shared/signing/event-signer.ts'
import { EventVerifier } from '../../../shared/signing/event-verifier.ts'
import { ec256, ec384, jwkOf, pemOf, problems, rsa } from '../tokens/keys.ts'

const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwks = (...keys: object[]): EventKeyInput => ({ keys }) as EventKeyInput
const priv = (kid: string, pair = ec256): object => jwkOf(pair.privateKey, { kid, alg: 'ES256' })
const signerOf = (...keys: object[]): EventSigner =>
  new EventSigner(readSigningKeys(jwks(...keys)), 'knell')
const pin = (...keys: object[]): EventVerifier =>
  new EventVerifier(readPinnedKeys(publicJwks(readSigningKeys(jwks(...keys)))), 'knell')

const body = '{"v":1,"tenant":"dèfault","seq":1}'
const bytes = Buffer.from(body)

/** A signature of ours with another header. */
function withHeader(header: object): string {
  const encoded = Buffer.from(JSON.stringify(header)).toString('base64url')
  const input = Buffer.concat([Buffer.from(`${encoded}.`), bytes])
  const key = { key: ec256.privateKey, dsaEncoding: 'ieee-p1363' as const }
  return `${encoded}..${sign('sha256', input, key).toString('base64url')}`
}

describe('signatures of events', () => {
  const signature = signerOf(priv('a')).sign('entry', body)
  const verifier = pin(priv('a'))
  const header = { alg: 'ES256', kid: 'a', typ: 'knell.entry', b64: false, crit: ['b64'] }

  it('are good for the bytes that were signed and for no others', () => {
    expect(verifier.verify('entry', bytes, signature)).to.equal('good')
    for (let i = 0; i < bytes.length; i++) {
      const altered = Buffer.from(bytes)
      altered[i] = (altered[i] ?? 0) ^ 1
      expect(verifier.verify('entry', altered, signature), String(i)).to.equal('forged')
    }
    expect(verifier.verify('entry', bytes.subarray(1), signature)).to.equal('forged')
    expect(verifier.verify('entry', Buffer.alloc(0), signature)).to.equal('forged')
  })

  it('are good for their own kind and namespace only', () => {
    for (const kind of ['beat', 'page', 'snapshot', 'decision'] as const) {
      expect(verifier.verify(kind, bytes, signature)).to.equal('malformed')
    }
    const elsewhere = new EventSigner(readSigningKeys(jwks(priv('a'))), 'other')
    expect(verifier.verify('entry', bytes, elsewhere.sign('entry', body))).to.equal('malformed')
  })

  it('are verified by jose, and those of jose by us', async () => {
    const [encoded = '', , sig = ''] = signature.split('.')
    const { protectedHeader } = await flattenedVerify(
      { protected: encoded, payload: bytes, signature: sig },
      ec256.publicKey,
      { algorithms: ['ES256'] },
    )
    expect(protectedHeader).to.deep.equal(header)
    const made = await new FlattenedSign(bytes)
      .setProtectedHeader({ crit: ['b64'], b64: false, typ: 'knell.entry', kid: 'a', alg: 'ES256' })
      .sign(ec256.privateKey)
    expect(verifier.verify('entry', bytes, `${made.protected}..${made.signature}`)).to.equal('good')
  })

  it('are refused with another algorithm, key, kid or extension', () => {
    const verdict = (text: unknown): string => verifier.verify('entry', bytes, text)
    expect(verdict(withHeader(header))).to.equal('good')
    expect(verdict(withHeader({ ...header, jku: 'https://evil.example' }))).to.equal('good')
    for (const strange of [
      { ...header, alg: 'none' },
      { ...header, alg: 'HS256' },
      { ...header, alg: 'RS256' },
      { ...header, alg: 'es256' },
      { ...header, crit: ['b64', 'exp'], exp: 1 },
      { ...header, crit: [] },
      { ...header, b64: true },
      { ...header, typ: undefined },
      { ...header, kid: ['a'] },
      { alg: 'ES256', kid: 'a', typ: 'knell.entry' },
      null,
      [],
      'text',
    ]) {
      expect(verdict(withHeader(strange as object)), JSON.stringify(strange)).to.equal('malformed')
    }
    expect(verdict(withHeader({ ...header, kid: 'b' }))).to.equal('unknown_key')
    expect(verdict(withHeader({ ...header, kid: '__proto__' }))).to.equal('unknown_key')
    expect(verdict(signerOf(priv('a', other)).sign('entry', body))).to.equal('forged')
  })

  it('are never a reason to throw, whatever they are', () => {
    const [encoded] = signature.split('.')
    expect(verifier.verify('entry', bytes, undefined)).to.equal('unsigned')
    for (const junk of [
      '',
      '..',
      'a.b.c',
      `${encoded}.`,
      `${encoded}..`,
      `${encoded}..AAAA`,
      `${encoded}.e30.${'A'.repeat(86)}`,
      `!!..${'A'.repeat(86)}`,
      `${'A'.repeat(100_000)}..${'A'.repeat(86)}`,
      `${signature}\n`,
      ` ${signature}`,
      5,
      true,
      {},
      Buffer.from(signature),
      [signature],
    ]) {
      expect(verifier.verify('entry', bytes, junk)).to.equal('malformed')
    }
    for (const fill of ['A', '_']) {
      const zeros = `${encoded}..${fill.repeat(86)}`
      expect(verifier.verify('entry', bytes, zeros)).to.equal('forged')
    }
  })

  it('are made once per entry, and anew where the body differs', () => {
    const signer = signerOf(priv('a'))
    expect(signer.signOnce(body)).to.equal(signer.signOnce(body))
    expect(signer.signOnce(`${body} `)).to.not.equal(signer.signOnce(body))
    for (let i = 0; i < 10_050; i++) signer.signOnce(String(i))
    expect(verifier.verify('entry', bytes, signer.signOnce(body))).to.equal('good')
  }).timeout(20_000)

  it('are made with the first key and verified with any that is pinned', () => {
    const [both, old] = [pin(priv('new', other), priv('a')), pin(priv('a'))]
    const renewed = signerOf(priv('new', other), priv('a')).sign('entry', body)
    expect(both.verify('entry', bytes, renewed)).to.equal('good')
    expect(both.verify('entry', bytes, signature)).to.equal('good')
    expect(old.verify('entry', bytes, renewed)).to.equal('unknown_key')
  })

  it('have a header that says what it must and nothing secret', () => {
    expect(SIGNATURE_HEADER).to.equal('knell-signature')
    const text = writeHeader({ alg: 'ES256', kid: 'a', typ: typOf('knell', 'beat') })
    const read = JSON.parse(Buffer.from(text, 'base64url').toString()) as object
    expect(read).to.deep.equal({ ...header, typ: 'knell.beat' })
  })
})

describe('event keys', () => {
  const refused = (input: unknown): string => problems(() => readSigningKeys(input)).join('; ')
  const unpinned = (input: unknown): string => problems(() => readPinnedKeys(input)).join('; ')

  it('are ES256 only, and named', () => {
    for (const key of [
      jwkOf(rsa.privateKey, { kid: 'a' }),
      jwkOf(ec384.privateKey, { kid: 'a' }),
      { kty: 'oct', k: 'AAAA', kid: 'a' },
      { ...priv('a'), alg: 'HS256' },
    ]) {
      expect(refused(jwks(key))).to.include('ES256 only')
    }
    expect(refused(jwks(jwkOf(ec256.privateKey)))).to.include('needs a "kid"')
    expect(refused(jwks(priv('a b')))).to.include('needs a "kid"')
    expect(refused(jwks(priv('a'), priv('a', other)))).to.include('twice')
    expect(refused(jwks())).to.include('no key')
    for (const none of ['', '{', 'null', '[]', '5', null, undefined]) {
      expect(refused(none)).to.match(/expected a JWK set|no key/)
    }
  })

  it('are private where they sign and public where they are pinned', () => {
    expect(refused(publicJwks(readSigningKeys(jwks(priv('a')))))).to.include('private one')
    expect(unpinned(jwks(priv('a')))).to.include('is a private key')
    expect(unpinned([{ kid: 'a', pem: pemOf(ec256.privateKey) }])).to.include('is a private key')
    expect(unpinned([{ kid: 'a', pem: 'nonsense' }])).to.include('not readable')
    expect(unpinned([{ kid: 'a', pem: pemOf(rsa.publicKey) }])).to.include('ES256 only')
    expect(unpinned([{ pem: pemOf(ec256.publicKey) }])).to.include('needs a "kid"')
    const [pinned] = readPinnedKeys([{ kid: 'a', pem: pemOf(ec256.publicKey) }])
    expect(pinned?.kid).to.equal('a')
  })

  it('are published without what must stay secret', () => {
    const text = JSON.stringify(publicJwks(readSigningKeys(jwks(priv('a')))))
    expect(text).to.not.include('"d"')
    expect(readPinnedKeys(text).map(({ kid }) => kid)).to.deep.equal(['a'])
  })
})

describe('the digest of lines', () => {
  it('tells how they are parted', () => {
    const digests = [['ab'], ['a', 'b'], ['b', 'a'], ['a', 'b', ''], []].map(digestOf)
    expect(new Set(digests).size).to.equal(digests.length)
  })
})
