import { randomBytes } from 'node:crypto'
import { LoginService } from './login-service.mjs'
import { openShop } from './shop.mjs'

/**
 * Plays a situation with a login service and a shop, says what comes of it, and ends the process:
 * with 0 where everything was as expected, else with 1.
 */
export async function play(situation) {
  const login = new LoginService()
  let failures = 0

  /** Prints what was seen, and whether it is what should be. */
  const see = (what, seen, expected) => {
    const isRight = seen === expected
    if (!isRight) failures += 1
    console.log(`${isRight ? '✔' : '✘'} ${what}: ${seen}${isRight ? '' : `, not ${expected}`}`)
  }

  let shop
  try {
    shop = await openShop()
    await situation({ login, shop, see })
  } catch (error) {
    failures += 1
    console.error(error)
  } finally {
    await shop?.close()
  }
  process.exitCode = failures === 0 ? 0 : 1
}

/** A name that no earlier run has used. */
export function someone(name) {
  return `${name}-${randomBytes(4).toString('hex')}`
}

/** Prints what happens. */
export function say(line) {
  console.log(`  ${line}`)
}

/** How a refresh ends that is tried: `refreshed`, or the code of the refusal. */
export async function outcomeOf(refresh) {
  try {
    await refresh
    return 'refreshed'
  } catch (error) {
    if (typeof error.code !== 'string') throw error
    return error.code
  }
}
