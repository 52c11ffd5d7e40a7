import { setTimeout as delay } from 'node:timers/promises'
import type { Front } from './front.ts'
import type { Issued } from './issuer.ts'
import { machineMs } from './messages.ts'
import { proofOf, PROOF } from './proof.ts'
import { allRefused, askBystanders, call, logIn, type AppliedMs, type Show } from './show.ts'
import { line, perService } from './words.ts'

const REVIEW_AFTER_SECONDS = 3_600
const WITHIN_MS = 8_000
const ASK_EVERY_MS = 5

/** A suspicion: a user is kept out everywhere, looked into, and let in again. */
export async function playHold(show: Show): Promise<void> {
  const { stage, issuer, ledger, say } = show
  const victor = await logIn(show, { sub: 'victor' })
  const match = { sub: victor.sub }

  ledger.mayDie(victor, 'now')
  const heldAt = machineMs()
  const reviewBy = Math.floor(Date.now() / 1000) + REVIEW_AFTER_SECONDS
  const hold = { match, reason: 'anomaly', wait: PROOF } as const
  const { enforced } = await issuer.hold(stage.notifier, hold, reviewBy)
  const proof = proofOf(enforced, machineMs() - heldAt)
  if (enforced?.done !== true) ledger.unprove(`a hold: ${JSON.stringify(enforced)}.`)
  const held = await onEach(show, (front) => heldBy(show, front, victor, heldAt))
  ledger.held += countOf(held)
  say(line('hold', `suspected victor is held in ${perService(held)}; ${proof}`))

  const releasedAt = machineMs()
  await issuer.release(stage.notifier, match)
  const good = await onEach(show, (front) => letInBy(show, front, victor, releasedAt))
  ledger.released += countOf(good)
  // From now on he is like any other: whoever keeps him out is wrong.
  ledger.mayDie(victor, 'at exp')
  show.bystanders.push(victor)
  say(line('', `released, his token is good again in ${perService(good)}`))
  await askBystanders(show)
}

/** Ms from just before the call until a service had ended what it did for him; undefined where it has not. */
async function heldBy(
  show: Show,
  front: Front,
  token: Issued,
  since: number,
): Promise<number | undefined> {
  const at = (): number | undefined => show.ledger.endedAt(front.name, token, 'held')
  await show.ledger.until(() => at() !== undefined, show.ledger.patience(WITHIN_MS))
  const isRefused = await allRefused(show, front, [token], 'use', ['held'])
  const endedAt = at()
  return isRefused && endedAt !== undefined ? endedAt - since : undefined
}

/** Ms from just before the release until a service let him in; undefined, and taken down, where it has not. */
async function letInBy(
  show: Show,
  front: Front,
  token: Issued,
  since: number,
): Promise<number | undefined> {
  const deadline = performance.now() + WITHIN_MS
  for (;;) {
    const code = await call(show, front, token, 'use')
    if (code === 'active') return machineMs() - since
    if (performance.now() > deadline) {
      show.ledger.keepOut(front.name, token, code)
      return undefined
    }
    await delay(ASK_EVERY_MS)
  }
}

async function onEach(
  { fronts }: Show,
  what: (front: Front) => Promise<number | undefined>,
): Promise<AppliedMs> {
  const entries = fronts.map(async (front) => [front.name, await what(front)] as const)
  return Object.fromEntries(await Promise.all(entries)) as AppliedMs
}

function countOf(applied: AppliedMs): number {
  return Object.values(applied).filter((ms) => ms !== undefined).length
}
