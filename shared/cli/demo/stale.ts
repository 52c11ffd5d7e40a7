import { setTimeout as delay } from 'node:timers/promises'
import type { Issued } from './issuer.ts'
import { freshMs } from './messages.ts'
import { askBystanders, enforced, logInAll, revoke, type Show } from './show.ts'
import { duration, line } from './words.ts'

const WITHIN_MS = 15_000
const ASK_EVERY_MS = 20

/** What the API's payments answer. */
interface Answer {
  readonly status: number
  readonly code: string
  /** The header `Retry-After`. */
  readonly retryAfter: string | null
}

/**
 * The API is cut off from all but its users. Of a revocation made meanwhile it cannot know, so its
 * payments, which want news no older than `freshMs`, then refuse everybody: with 503, never 401.
 */
export async function playStale(show: Show): Promise<void> {
  const { stage, ledger, say } = show
  const [good, dead] = (await logInAll(show, [{ sub: 'wendy' }, { sub: 'xavier' }])) as [
    Issued,
    Issued,
  ]
  await untilTaken(show, good)

  await stage.services.cutOff()
  const deed = { match: { sub: dead.sub }, reason: 'breach', dies: [dead] } as const
  const done = await revoke(show, deed)
  const since = performance.now()
  const [takenMs, answer] = await untilStale(show, dead, since)
  // The guarantee: a dead token is taken for at most so long after the revocation was answered.
  if (takenMs > freshMs) {
    ledger.miss('api', dead, `took, being cut off, for ${duration(takenMs)} a token of`)
  }
  await untilStale(show, good, since)
  const taken = `${duration(takenMs)} more, of the ${duration(freshMs)} that they may`
  say(
    line(
      'stale service',
      `the API is cut off, then xavier revoked: its payments took him ${taken}`,
    ),
  )
  const word = `${answer.status} ${answer.code}, Retry-After ${answer.retryAfter}`
  say(line('', `now they answer ${word} to everybody; what may be a minute old goes on`))
  await askBystanders(show)

  const backAt = performance.now()
  await stage.services.rejoin()
  await untilTaken(show, good, dead)
  const takenAgain = duration(performance.now() - backAt)
  await enforced(show, done, WITHIN_MS)
  show.bystanders.push(good)
  await ledger.until(() => ledger.isPush('up'), WITHIN_MS)
  say(
    line(
      '',
      `joined again, they take good tokens after ${takenAgain}, and xavier's nowhere any more`,
    ),
  )
  await askBystanders(show)
}

/** Asks until a token is taken, which must be in the end; one that died while all were refused never is again. */
async function untilTaken(show: Show, token: Issued, dead?: Issued): Promise<void> {
  const deadline = performance.now() + show.ledger.patience(WITHIN_MS)
  for (;;) {
    const answer = await pay(show, token)
    if (dead !== undefined && (await pay(show, dead)).status === 200) {
      show.ledger.miss('api', dead, 'took again, having been cut off, a token of')
    }
    if (answer.status === 200) return
    if (!isStale(answer) || performance.now() > deadline) {
      show.ledger.keepOut('api', token, `${answer.status} ${answer.code}`)
      return
    }
    await delay(ASK_EVERY_MS)
  }
}

/** Asks until the service says that it is stale. Resolves with how long after `since` it still took the token, and its answer. */
async function untilStale(show: Show, token: Issued, since: number): Promise<[number, Answer]> {
  const deadline = performance.now() + WITHIN_MS
  let takenMs = 0
  for (;;) {
    const sentAt = performance.now()
    const answer = await pay(show, token)
    if (answer.status === 200) takenMs = sentAt - since
    else {
      // Nothing but its own age may make it refuse: it cannot know of any death.
      if (isStale(answer)) show.ledger.staleRefusals += 1
      else show.ledger.keepOut('api', token, `${answer.status} ${answer.code}`)
      return [takenMs, answer]
    }
    if (performance.now() > deadline) return [takenMs, answer]
    await delay(ASK_EVERY_MS)
  }
}

function isStale({ status, code, retryAfter }: Answer): boolean {
  return status === 503 && code === 'stale' && Number(retryAfter) >= 1
}

async function pay({ stage, ledger }: Show, { token }: Issued): Promise<Answer> {
  const port = stage.services.processes.get('api')?.port
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`http://127.0.0.1:${port}/payments`, { headers })
  ledger.asked += 1
  const { code } = (await response.json()) as { code: unknown }
  return {
    status: response.status,
    code: String(code),
    retryAfter: response.headers.get('retry-after'),
  }
}
