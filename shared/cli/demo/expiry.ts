import { setTimeout as delay } from 'node:timers/promises'
import type { Issued } from './issuer.ts'
import { aboutOf } from './messages.ts'
import { allRefused, askBystanders, logInAll, type Show } from './show.ts'
import { duration, line, longest, percentile } from './words.ts'

const TOKENS = 200
const IN_USE = 5
/** Long enough for a busy machine to bring them into use before they die. */
const LIFE_SECONDS = 4
const WITHIN_MS = 8_000

/** Tokens that die of age, all in the same second. */
export async function playExpiry(show: Show): Promise<void> {
  const tokens = await issueShortLived(show, TOKENS, IN_USE)
  await measureCheck(show)
  const late = await announced(show, tokens, IN_USE, WITHIN_MS)
  const times = `p50 ${duration(percentile(late, 50))}, worst ${duration(longest(late))}`
  const text = `${late.length} announcements of ${tokens.length} tokens, after their second began: ${times}`
  show.say(line('natural expiry', text))
  await askBystanders(show)
}

/** While the tokens of this scene grow old. */
async function measureCheck({ stage, ledger, bystanders }: Show): Promise<void> {
  const api = stage.services.processes.get('api')
  const token = bystanders[0]?.token ?? ''
  ledger.checkNs = Number(await api?.ask({ ask: 'checkNs', token }))
}

/** Registers tokens that expire together a few seconds from now, and brings some of them into use. */
export async function issueShortLived(
  show: Show,
  count: number,
  inUse: number,
): Promise<readonly Issued[]> {
  const exp = Math.floor(Date.now() / 1000) + LIFE_SECONDS
  const wishes = Array.from({ length: count }, (_, i) => ({ sub: `guest-${i}`, exp }))
  const tokens = await logInAll(show, wishes, inUse)
  for (const token of tokens) show.ledger.duties.owe(aboutOf(token))
  return tokens
}

/**
 * Waits until every service was told of every expiry, at most `withinMs` after it, and sees that those
 * in use are refused. Returns how late each announcement was; what did not come is taken down as missed.
 */
export async function announced(
  show: Show,
  tokens: readonly Issued[],
  inUse: number,
  withinMs: number,
): Promise<number[]> {
  const { ledger, fronts } = show
  const late = (): (number | undefined)[] =>
    fronts.flatMap(({ name }) => tokens.map((token) => ledger.announcedAfterMs(name, token)))
  const leftMs = Math.max(...tokens.map(({ exp }) => exp * 1000)) - Date.now()
  await delay(Math.max(0, leftMs))
  await ledger.until(() => !late().includes(undefined), withinMs)
  for (const { name } of fronts) {
    for (const token of tokens) {
      if (ledger.announcedAfterMs(name, token) !== undefined) continue
      ledger.miss(name, token, 'was not told of the expiry of a token of')
    }
  }
  const dead = tokens.slice(0, inUse)
  show.dead.push(...dead)
  await Promise.all(fronts.map((front) => allRefused(show, front, dead)))
  return late().filter((ms) => ms !== undefined)
}
