import { play } from './parts/stage.mjs'

// A suspension can be lifted, so it is a hold of `{ sub }`: afterwards the same tokens work again.
// A deletion cannot, so it is a revocation of `{ sub }`. The login service lets neither log in.

await play(async ({ login, shop, see, say, someone }) => {
  const [alice, bob] = [someone('alice'), someone('bob')]
  const session = await login.logIn(alice)
  const other = await login.logIn(bob)
  see('Alice', await shop.ask(session.token), '200 welcome')

  const inAMonth = Math.floor(Date.now() / 1000) + 30 * 86_400
  await login.hold({ sub: alice }, { reviewBy: inAMonth, outcome: 'revoke', reason: 'suspension' })
  say('Alice is suspended, for a month at most')
  see('Alice, at once', await shop.ask(session.token), '401 held (suspension)')
  see('Bob goes on', await shop.ask(other.token), '200 welcome')

  const released = shop.hears('released', ({ sub }) => sub === alice)
  await login.release({ sub: alice })
  await released
  say('it was a mistake')
  see('Alice, with the same token', await shop.ask(session.token), '200 welcome')

  await login.revoke({ sub: alice }, { reason: 'deletion' })
  say('Alice deletes her account')
  see('Alice, at once', await shop.ask(session.token), '401 revoked (deletion)')
  see('Bob still goes on', await shop.ask(other.token), '200 welcome')
})
