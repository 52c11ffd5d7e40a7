import jwt from 'jsonwebtoken'
import { generateKeyPairSync } from 'node:crypto'
import { ISSUER } from './parts/shop.mjs'
import { play, say, someone } from './parts/stage.mjs'

// Somebody has the signing key, and can be anybody. No list of tokens helps, since nobody knows which
// ones they sign: everything that the key has signed or will sign dies, `{ kid }`. Sessions live on, since
// a refresh token is not signed by it. Where nobody knows what was stolen, `{}` ends everything there is.

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const kid = someone('key')

/** What anybody can do who has the key. */
function forge(sub, iat) {
  const claims = {
    iss: ISSUER,
    aud: 'shop',
    sub,
    role: 'admin',
    jti: someone('forged'),
    iat,
    exp: iat + 300,
  }
  return jwt.sign(claims, privateKey, { algorithm: 'ES256', header: { kid, typ: 'at+jwt' } })
}

await play(async ({ login, shop, see }) => {
  const [alice, mallory] = [someone('alice'), someone('mallory')]
  await login.signWith(kid, privateKey.export({ format: 'jwk' }))
  const now = Math.floor(Date.now() / 1000)
  const session = await login.logIn(alice)
  see('Alice', await shop.ask(session.accessToken), '200 welcome')
  see('a thief of the key', await shop.ask(forge(mallory, now), '/admin'), '200 welcome')

  const heard = shop.hears('revoked', (match) => match.kid === kid)
  await login.revokeKey(kid)
  await heard
  say('the key is revoked, and the next one signs')

  const dead = '401 revoked (key-compromise)'
  see('the thief, at once', await shop.ask(forge(mallory, now), '/admin'), dead)
  see('whatever else the thief signs', await shop.ask(forge(alice, now + 30)), dead)
  see('the token of Alice', await shop.ask(session.accessToken), dead)
  const refreshed = await login.refresh(session)
  say('her client sees the 401 and refreshes; the thief cannot')
  see('Alice goes on', await shop.ask(refreshed.accessToken), '200 welcome')
  see('a new login', await shop.ask((await login.logIn(alice)).accessToken), '200 welcome')
})
