import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { createSealer } from '../../../shared/keys/sealer.ts'
import { codeOf } from '../../support/code-of.ts'

const place = { tenant: 'default', kid: 'k1' }
const jwk = { kty: 'oct', k: 'a-very-secret-text' }

describe('The sealer of signing keys', () => {
  const [first, second] = [randomBytes(32), randomBytes(32)] as const
  const sealer = createSealer([first], 'knell')

  it('opens what it has sealed, and shows nothing of it', async () => {
    const sealed = await sealer.seal(jwk, place)
    expect(sealed).to.not.include(jwk.k)
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).to.not.include(jwk.k)
    expect(await sealer.open(sealed, place)).to.deep.equal(jwk)
    expect(await sealer.seal(jwk, place)).to.not.equal(sealed)
  })

  it('opens it for no other tenant, key or namespace, by no other key, and not when altered', async () => {
    const sealed = await sealer.seal(jwk, place)
    const [head = '', ...rest] = sealed.split('.')
    const altered = [head, ...rest.slice(0, -1), `A${rest.at(-1)?.slice(1)}`].join('.')
    const tries = [
      () => sealer.open(sealed, { ...place, tenant: 'other' }),
      () => sealer.open(sealed, { ...place, kid: 'k2' }),
      () => createSealer([first], 'other').open(sealed, place),
      () => createSealer([second], 'knell').open(sealed, place),
      () => sealer.open(altered === sealed ? `${sealed}x` : altered, place),
      () => sealer.open('', place),
      () => sealer.open('a.b.c.d.e', place),
    ]
    for (const attempt of tries) expect(await codeOf(attempt())).to.equal('config_invalid')
  })

  it('opens with any of its keys and seals with the first, so that one can take the place of another', async () => {
    const old = await sealer.seal(jwk, place)
    const both = createSealer([second, first], 'knell')
    expect(await both.open(old, place)).to.deep.equal(jwk)
    const renewed = await both.seal(jwk, place)
    expect(await createSealer([second], 'knell').open(renewed, place)).to.deep.equal(jwk)
    expect(both.macs('text')[1]).to.deep.equal(sealer.macs('text')[0])
  })
})
