import { randomBytes } from 'node:crypto'
import { LoginService } from './login-service.mjs'
import { openShop } from './shop.mjs'

/**
 * Plays a situation with a login service and a shop, says what comes of it, and ends the process:
 * with 0 where everything was as expected, else with 1.
 */
export async function play(situation) {
  const login = new LoginService()
  const shop = await openShop(login)
  let failures = 0

  /** Prints what was seen, and whether it is what should be. */
  const see = (what, seen, expected) => {
    const isRight = seen === expected
    if (!isRight) failures += 1
    console.log(`${isRight ? '✔' : '✘'} ${what}: ${seen}${isRight ? '' : `, not ${expected}`}`)
  }
  try {
    await situation({ login, shop, see, say, someone })
  } catch (error) {
    failures += 1
    console.error(error)
  } finally {
    await shop.close()
  }
  process.exitCode = failures === 0 ? 0 : 1
}

/** A user whom no earlier run has touched. */
function someone(name) {
  return `${name}-${randomBytes(4).toString('hex')}`
}

/** Prints what happens. */
function say(line) {
  console.log(`  ${line}`)
}
