import { outcomeOf, play, say, someone } from './parts/stage.mjs'

// Whoever knew the old password may have a session. All of them die, `{ sub }`, `except` the one
// in which the password was changed. Without such a one, as after a reset by mail, leave `except` out.
// A session is judged by when it began, so none of them comes back by a refresh.

await play(async ({ login, shop, see }) => {
  const alice = someone('alice')
  const laptop = await login.logIn(alice)
  const phone = await login.logIn(alice)
  const thief = await login.logIn(alice)
  see('somebody who knew the password', await shop.ask(thief.accessToken), '200 welcome')

  const except = { sid: laptop.sid }
  await login.revoke({ sub: alice }, { except, reason: 'password-change' })
  say('Alice changes her password on the laptop')

  see('they, at once', await shop.ask(thief.accessToken), '401 revoked (password-change)')
  see('their refresh', await outcomeOf(login.refresh(thief)), 'session_revoked')
  see('the phone, too', await shop.ask(phone.accessToken), '401 revoked (password-change)')
  see('the laptop goes on', await shop.ask(laptop.accessToken), '200 welcome')
  const again = await login.logIn(alice)
  see('the phone, with the new password', await shop.ask(again.accessToken), '200 welcome')

  await login.revoke({ sub: alice }, { reason: 'password-change' })
  say('she forgets it, and sets a new one by mail')
  see('the laptop', await shop.ask(laptop.accessToken), '401 revoked (password-change)')
  see('a login after that', await shop.ask((await login.logIn(alice)).accessToken), '200 welcome')
})
