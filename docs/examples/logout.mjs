import { outcomeOf, play, say, someone } from './parts/stage.mjs'

// Logging out ends one session: what was or will be minted for its `sid` is dead, and nothing refreshes it.

await play(async ({ login, shop, see }) => {
  const alice = someone('alice')
  const laptop = await login.logIn(alice)
  const phone = await login.logIn(alice)
  see('the laptop', await shop.ask(laptop.accessToken), '200 welcome')
  see('the phone', await shop.ask(phone.accessToken), '200 welcome')

  const heard = shop.hears('revoked', ({ sid }) => sid === laptop.sid)
  await login.logOut(laptop)
  await heard
  say('Alice logs out on the laptop')

  see('the laptop, at once', await shop.ask(laptop.accessToken), '401 revoked (logout)')
  see('its refresh', await outcomeOf(login.refresh(laptop)), 'session_ended')
  see('the phone goes on', await shop.ask(phone.accessToken), '200 welcome')
  see('its refresh, too', await outcomeOf(login.refresh(phone)), 'refreshed')
})
