import { play } from './parts/stage.mjs'
import { sign } from './parts/login-service.mjs'

// Somebody has the signing key, and can be anybody. No list of tokens helps, since nobody knows which
// ones they sign: everything that the key has signed or will sign dies, `{ kid }`. Where it is not
// known what was stolen, `{}` is everything of the tenant. Both cost every user a new login.

await play(async ({ login, shop, see, say, someone }) => {
  const [alice, bob] = [someone('alice'), someone('bob')]
  const session = await login.logIn(alice)
  const stolen = login.key
  const now = Math.floor(Date.now() / 1000)
  const { issuer: iss, audience: aud } = login.verify
  const forged = {
    iss,
    aud,
    sub: bob,
    jti: someone('forged'),
    iat: now,
    exp: now + 300,
    roles: ['admin'],
  }
  see('the thief as Bob, the admin', await shop.ask(sign(forged, stolen), '/admin'), '200 welcome')

  login.rotate()
  const fresh = await login.logIn(bob)
  say('the next key signs from now on')
  await login.revoke({ kid: stolen.kid }, { reason: 'key-compromise' })
  say('the stolen one is revoked')

  const code = '401 revoked (key-compromise)'
  see('the thief, at once', await shop.ask(sign(forged, stolen), '/admin'), code)
  const later = { ...forged, jti: someone('forged'), iat: now + 30, exp: now + 330 }
  see('whatever else the thief signs', await shop.ask(sign(later, stolen), '/admin'), code)
  see('Alice must log in again', await shop.ask(session.token), code)
  see('Alice after that', await shop.ask((await login.logIn(alice)).token), '200 welcome')
  see('a session of the new key', await shop.ask(fresh.token), '200 welcome')
})
