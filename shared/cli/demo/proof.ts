import type { Enforced } from './issuer.ts'
import { serviceNames } from './messages.ts'
import { askBystanders, call, enforced, logIn, revoke, type Done, type Show } from './show.ts'
import { duration, line, percentile } from './words.ts'

/** Revocations with this are answered when they are enforced everywhere. */
export const PROOF = { for: 'all', timeoutMs: 10_000 } as const
/** How long the notifier waits for a service that is stopped. */
const STOPPED = { for: 'all', timeoutMs: 600 } as const
const WITHIN_MS = 10_000

/** Revocations that are answered when they are enforced, and one that says where it is not yet. */
export async function playProof(show: Show): Promise<void> {
  const { ledger, say } = show
  const walter = await logIn(show, { sub: 'walter' })
  const done = await revoke(show, {
    match: { jti: walter.jti },
    reason: 'reuse',
    dies: [walter],
    wait: PROOF,
  })
  await isProved(show, done)
  await enforced(show, done, ledger.patience(WITHIN_MS))
  say(line('proof', `walter's reused token is revoked, ${proofOf(done.enforced, done.answeredMs)}`))
  const times = `p50 ${duration(percentile(ledger.proofMs, 50))}`
  say(line('', `so were the ${ledger.proved - 1} above, each tried everywhere at once: ${times}`))
  await playStopped(show)
  await askBystanders(show)
}

/** A service that is stopped is named, and counted as soon as it goes on. */
async function playStopped(show: Show): Promise<void> {
  const { stage, issuer, ledger, say } = show
  const yvonne = await logIn(show, { sub: 'yvonne' })
  const revocation = { match: { jti: yvonne.jti }, reason: 'anomaly' } as const
  const worker = stage.services.processes.get('worker')
  await worker?.kill('SIGSTOP')
  const done = await revoke(show, { ...revocation, dies: [yvonne], wait: STOPPED })

  // The same again adds nothing to the rule, so it is only asked for. On a slow machine others may be late.
  let answer = done.enforced
  const deadline = performance.now() + ledger.patience(WITHIN_MS)
  while (namesOf(answer) !== 'worker' && performance.now() < deadline) {
    answer = (await issuer.revoke(stage.notifier, { ...revocation, wait: STOPPED })).enforced
  }
  if (answer?.done !== false || namesOf(answer) !== 'worker') {
    ledger.unprove(`a stopped worker: ${JSON.stringify(answer)}.`)
  }
  say(line('', `the worker is stopped: ${countOf(answer)}, missing: ${namesOf(answer)}`))

  const startedAt = performance.now()
  await worker?.kill('SIGCONT')
  const again = (await issuer.revoke(stage.notifier, { ...revocation, wait: PROOF })).enforced
  const answeredMs = performance.now() - startedAt
  await isProved(show, { ...done, answeredMs, ...(again && { enforced: again }) })
  await enforced(show, done, ledger.patience(WITHIN_MS))
  say(line('', `it goes on: ${proofOf(again, answeredMs)}`))
}

/** Holds what the notifier says against what the services do: whatever is proved is refused at the first try. */
export async function isProved(show: Show, done: Done): Promise<boolean> {
  const { ledger, fronts } = show
  const { deed, answeredMs, enforced: answer } = done
  const codes = await Promise.all(
    fronts.flatMap((front) => deed.dies.map((token) => call(show, front, token, 'use'))),
  )
  const isAll = answer?.done === true && answer.applied === serviceNames.length
  if (!isAll || codes.some((code) => code !== 'revoked')) {
    ledger.unprove(
      `${JSON.stringify(deed.match)} is ${JSON.stringify(answer)}, tried: ${codes.join(', ')}.`,
    )
    return false
  }
  ledger.proved += 1
  ledger.proofMs.push(answeredMs)
  return true
}

/** `enforced on 3 of 3 in 7.5 ms` */
export function proofOf(answer: Enforced | undefined, answeredMs: number): string {
  return `${countOf(answer)} in ${duration(answeredMs)}`
}

function countOf(answer: Enforced | undefined): string {
  return `enforced on ${answer?.applied ?? 0} of ${answer?.live ?? 0}`
}

function namesOf(answer: Enforced | undefined): string {
  return (answer?.missing ?? []).map(({ service }) => service).join(', ')
}
