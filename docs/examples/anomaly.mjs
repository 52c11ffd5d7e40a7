import { outcomeOf, play, say, someone } from './parts/stage.mjs'

// A suspicion is not a fact: hold the session, `{ sid }`, ask, and release it where it was a false
// alarm. Where nobody looks in time, `reviewBy` decides by itself; here the outcome is `revoke`.

const HOUR = 3600
/** So soon only because an example should end. */
const SOON = 5

await play(async ({ login, shop, see }) => {
  const alice = someone('alice')
  const train = await login.logIn(alice)
  const thief = await login.logIn(alice)
  const home = await login.logIn(alice)
  const suspect = ({ sid }, seconds) => {
    const reviewBy = Math.floor(Date.now() / 1000) + seconds
    return login.hold({ sid }, { reviewBy, outcome: 'revoke', reason: 'anomaly' })
  }
  const gone = shop.hears('revoked', ({ sid }) => sid === thief.sid)

  await suspect(train, HOUR)
  await suspect(thief, SOON)
  say('two sessions come from places where Alice has never been')
  see('the other', await shop.ask(thief.accessToken), '401 held (anomaly)')
  see('the one', await shop.ask(train.accessToken), '401 held (anomaly)')
  see('its refresh', await outcomeOf(login.refresh(train)), 'session_held')
  see('the session at home goes on', await shop.ask(home.accessToken), '200 welcome')

  const released = shop.hears('released', ({ sid }) => sid === train.sid)
  await login.release({ sid: train.sid })
  await released
  say('Alice says that the first is hers: she sits in a train')
  see('it goes on with the same token', await shop.ask(train.accessToken), '200 welcome')
  see('and can be refreshed', await outcomeOf(login.refresh(train)), 'refreshed')

  await gone
  say('nobody answers for the second in time')
  see('it is revoked', await shop.ask(thief.accessToken), '401 revoked (anomaly)')
  see('and cannot be refreshed', await outcomeOf(login.refresh(thief)), 'session_revoked')
  see('the session at home still goes on', await shop.ask(home.accessToken), '200 welcome')
})
