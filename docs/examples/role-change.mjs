import { outcomeOf, play, say, someone } from './parts/stage.mjs'

// A token says which role its bearer had when it was issued. Where some minutes more of the old one do
// no harm, nothing is revoked: the next refresh brings the new one. Where they do, what says the old
// role dies, `{ sub, role }`, and so do the sessions that began with it: the user logs in again.

await play(async ({ login, shop, see }) => {
  const [alice, bob, carol] = [someone('alice'), someone('bob'), someone('carol')]
  for (const user of [alice, bob, carol]) login.account(user).role = 'admin'
  const [hers, bobs, carols] = await Promise.all(
    [alice, bob, carol].map((user) => login.logIn(user)),
  )
  see('Alice, an admin', await shop.ask(hers.accessToken, '/admin'), '200 welcome')

  login.account(alice).role = 'customer'
  await login.revoke({ sub: alice, role: 'admin' }, { reason: 'role-change' })
  say('Alice must not be an admin for a moment longer')
  const old = await shop.ask(hers.accessToken, '/admin')
  see('her old token, at once', old, '401 revoked (role-change)')
  see('her refresh', await outcomeOf(login.refresh(hers)), 'session_revoked')
  const again = await login.logIn(alice)
  see('after a new login', await shop.ask(again.accessToken), '200 welcome')
  see('and at /admin', await shop.ask(again.accessToken, '/admin'), '403 wrong_role')

  login.account(carol).role = 'customer'
  say('Carol moves on to another job, which is no secret')
  see('her old token', await shop.ask(carols.accessToken, '/admin'), '200 welcome')
  const next = await login.refresh(carols)
  see('her next one', await shop.ask(next.accessToken, '/admin'), '403 wrong_role')
  see('Bob, who is still one', await shop.ask(bobs.accessToken, '/admin'), '200 welcome')
})
