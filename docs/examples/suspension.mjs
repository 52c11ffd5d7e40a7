import { outcomeOf, play, say, someone } from './parts/stage.mjs'

// A suspension can be lifted, so it is a hold of `{ sub }`: afterwards the same tokens work again.
// A deletion cannot, so it is a revocation of `{ sub }`. The login service lets neither log in.

await play(async ({ login, shop, see }) => {
  const [alice, bob] = [someone('alice'), someone('bob')]
  const session = await login.logIn(alice)
  const other = await login.logIn(bob)
  see('Alice', await shop.ask(session.accessToken), '200 welcome')

  const inAMonth = Math.floor(Date.now() / 1000) + 30 * 86_400
  login.account(alice).isActive = false
  await login.hold({ sub: alice }, { reviewBy: inAMonth, outcome: 'revoke', reason: 'suspension' })
  say('Alice is suspended, for a month at most')
  see('Alice, at once', await shop.ask(session.accessToken), '401 held (suspension)')
  see('her refresh', await outcomeOf(login.refresh(session)), 'session_held')
  see('Bob goes on', await shop.ask(other.accessToken), '200 welcome')

  const released = shop.hears('released', ({ sub }) => sub === alice)
  login.account(alice).isActive = true
  await login.release({ sub: alice })
  await released
  say('it was a mistake')
  see('Alice, with the same token', await shop.ask(session.accessToken), '200 welcome')

  login.account(alice).isActive = false
  await login.revoke({ sub: alice }, { reason: 'deletion' })
  say('Alice deletes her account')
  see('Alice, at once', await shop.ask(session.accessToken), '401 revoked (deletion)')
  see('her refresh', await outcomeOf(login.refresh(session)), 'session_revoked')
  see('Bob still goes on', await shop.ask(other.accessToken), '200 welcome')
})
