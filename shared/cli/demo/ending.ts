import { allRefused, askBystanders, type Show } from './show.ts'
import { line } from './words.ts'

/** After all of that, whoever was dead stays dead, and whoever was good is good. */
export async function playEnding(show: Show): Promise<void> {
  const { dead, bystanders } = show
  const keptOut = await tryTheDead(show)
  await askBystanders(show)
  const text = `${keptOut} of ${dead.length} dead tokens are kept out everywhere when they try again`
  show.say(line('at last', `${text}; ${bystanders.length} good ones were in use all along`))
}

/** Every dead token is tried again at every service. Returns how many are kept out by all. */
async function tryTheDead(show: Show): Promise<number> {
  const keptOut = await Promise.all(
    show.dead.map(async (token) => {
      const tries = show.fronts.map((front) => allRefused(show, front, [token], 'use'))
      return (await Promise.all(tries)).every(Boolean)
    }),
  )
  return keptOut.filter(Boolean).length
}
