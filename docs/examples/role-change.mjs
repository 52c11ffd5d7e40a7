import { play } from './parts/stage.mjs'

// A token says which roles its bearer had when it was issued. When they change, what was issued until
// now dies, `{ sub }`; the session goes on, and its next refresh brings the new roles.

await play(async ({ login, shop, see, say, someone }) => {
  const [alice, bob] = [someone('alice'), someone('bob')]
  const session = await login.logIn(alice, { roles: ['customer', 'admin'] })
  const other = await login.logIn(bob, { roles: ['admin'] })
  see('Alice, an admin', await shop.ask(session.token, '/admin'), '200 welcome')

  await login.revoke({ sub: alice }, { reason: 'role-change' })
  say('Alice is no longer an admin')

  see(
    'her old token, at once',
    await shop.ask(session.token, '/admin'),
    '401 revoked (role-change)',
  )
  const refreshed = await login.refresh(session, { roles: ['customer'] })
  say('her client sees the 401 and refreshes; she is not logged out')
  see('her new token', await shop.ask(refreshed.token), '200 welcome')
  see('her new token at /admin', await shop.ask(refreshed.token, '/admin'), '403 wrong_role')
  see('Bob, who is still one', await shop.ask(other.token, '/admin'), '200 welcome')
})
