import { setTimeout as delay } from 'node:timers/promises'
import type { Front } from './front.ts'
import type { Enforced, Issued, Issuer, Revocation, Wish } from './issuer.ts'
import type { Ledger } from './ledger.ts'
import { aboutOf, machineMs, type ServiceName } from './messages.ts'
import type { Stage } from './stage.ts'

/** What every scene of the demo works with. */
export interface Show {
  readonly stage: Stage
  readonly issuer: Issuer
  readonly ledger: Ledger
  /** One of each service. Where another instance takes over, its front takes the place of the old one. */
  readonly fronts: Front[]
  /** Tokens in use at every service that no deed is about, so that each must stay good to the end. */
  readonly bystanders: Issued[]
  /** Tokens that were in use until they were revoked or expired. */
  readonly dead: Issued[]
  readonly say: (line: string) => void
}

/** How long a token may stay in use after its service has reported its end. */
const EVIDENCE_WITHIN_MS = 3_000
const ASK_EVERY_MS = 20
const TRAFFIC_EVERY_MS = 20

/** Signs and registers tokens and brings the first `used` of them into use at every service. */
export async function logInAll(
  show: Show,
  wishes: readonly Wish[],
  used: number = wishes.length,
): Promise<readonly Issued[]> {
  const { issuer, ledger, stage } = show
  const tokens = wishes.map((wish) => issuer.sign(wish))
  for (const token of tokens) ledger.mayDie(token, 'at exp')
  ledger.registered += await issuer.register(stage.notifier, tokens)
  await onEach(show, tokens.slice(0, used), 'use')
  return tokens
}

export async function logIn(show: Show, wish: Wish): Promise<Issued> {
  const [token] = await logInAll(show, [wish])
  return token as Issued
}

/** Asks every service about every bystander. */
export async function askBystanders(show: Show): Promise<void> {
  await onEach(show, show.bystanders, 'ask')
}

async function onEach(show: Show, tokens: readonly Issued[], what: 'use' | 'ask'): Promise<void> {
  await Promise.all(
    show.fronts.flatMap((front) => tokens.map((token) => call(show, front, token, what))),
  )
}

/** Lets a service do or say something with a token, and takes down what it answered. */
export async function call(
  { ledger }: Show,
  front: Front,
  token: Issued,
  what: 'use' | 'ask',
): Promise<string> {
  // A service that does not answer keeps a good token out as well.
  const code = await front[what](token).catch(() => 'no answer')
  ledger.answered(front.name, token, code)
  return code
}

/** Bystanders use the API in turn, all the time, until the returned function is called. */
export function startTraffic(show: Show): () => Promise<void> {
  const stop = new AbortController()
  const traffic = async (): Promise<void> => {
    for (let turn = 0; !stop.signal.aborted; turn += 1) {
      const token = show.bystanders[turn % show.bystanders.length]
      const front = show.fronts[0]
      if (token && front) await call(show, front, token, 'ask')
      await delay(TRAFFIC_EVERY_MS)
    }
  }
  const running = traffic()
  return async () => {
    stop.abort()
    await running
  }
}

/** A revocation, and the tokens in use that it must end. */
export interface Deed extends Revocation {
  readonly dies: readonly Issued[]
}

export interface Done {
  readonly deed: Deed
  /** `machineMs` just before the call. */
  readonly startedAt: number
  readonly answeredMs: number
  readonly issuedBefore: number | null
  /** What the answer says of the enforcement, where the deed waited for it. */
  readonly enforced?: Enforced
}

export async function revoke(show: Show, deed: Deed): Promise<Done> {
  const { issuer, ledger, stage } = show
  const { dies, ...revocation } = deed
  for (const token of dies) ledger.mayDie(token, 'now')
  const startedAt = machineMs()
  ledger.duties.owe(aboutOf(revocation))
  const { issuedBefore = null, enforced } = await issuer.revoke(stage.notifier, revocation)
  const answeredMs = machineMs() - startedAt
  ledger.revocations += 1
  show.dead.push(...dies)
  return { deed, startedAt, answeredMs, issuedBefore, ...(enforced && { enforced }) }
}

/** Ms from just before the call until a service had ended the last token; undefined where it has not. */
export type AppliedMs = Readonly<Record<ServiceName, number | undefined>>

/** Waits until every service has enforced a revocation, and sees for itself whether it has. */
export async function enforced(show: Show, done: Done, withinMs: number): Promise<AppliedMs> {
  const { ledger, fronts } = show
  const { deed, startedAt } = done
  const endedAt = ({ name }: Front): (number | undefined)[] =>
    deed.dies.map((token) => ledger.endedAt(name, token))
  await ledger.until(() => fronts.every((front) => !endedAt(front).includes(undefined)), withinMs)
  const entries = await Promise.all(
    fronts.map(async (front) => {
      const refused = await allRefused(show, front, deed.dies)
      const last = Math.max(...endedAt(front).map((at) => at ?? Number.NaN))
      if (!refused || Number.isNaN(last)) return [front.name, undefined] as const
      ledger.applied += 1
      return [front.name, last - startedAt] as const
    }),
  )
  return Object.fromEntries(entries) as AppliedMs
}

/** Whether a service refuses all these tokens by one of `codes`; every other one is taken down as missed. */
export async function allRefused(
  show: Show,
  front: Front,
  dead: readonly Issued[],
  what: 'use' | 'ask' = 'ask',
  codes: readonly string[] = ['revoked', 'expired'],
): Promise<boolean> {
  const refused = await Promise.all(
    dead.map(async (token) => {
      let code = ''
      const deadline = performance.now() + show.ledger.patience(EVIDENCE_WITHIN_MS)
      for (;;) {
        code = await call(show, front, token, what)
        if (codes.includes(code)) return true
        if (performance.now() > deadline) break
        await delay(ASK_EVERY_MS)
      }
      show.ledger.miss(front.name, token, `still says ${code} to a dead token of`)
      return false
    }),
  )
  return refused.every(Boolean)
}
