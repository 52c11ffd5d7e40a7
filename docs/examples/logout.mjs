import { play } from './parts/stage.mjs'

// Logging out ends one session, `{ sid }`, and every token that was or will be minted for it.

await play(async ({ login, shop, see, say, someone }) => {
  const alice = someone('alice')
  const laptop = await login.logIn(alice)
  const phone = await login.logIn(alice)
  see('the laptop', await shop.ask(laptop.token), '200 welcome')
  see('the phone', await shop.ask(phone.token), '200 welcome')

  const { enforced } = await login.revoke({ sid: laptop.sid }, { reason: 'logout' })
  say(`Alice logs out on the laptop: enforced on ${enforced.applied} of ${enforced.live} instances`)

  see('the laptop, at once', await shop.ask(laptop.token), '401 revoked (logout)')
  see('the phone goes on', await shop.ask(phone.token), '200 welcome')

  // A refresh that raced the logout brings a token that is dead as well.
  const late = await login.refresh(laptop)
  see('a token minted for it afterwards', await shop.ask(late.token), '401 revoked (logout)')
})
