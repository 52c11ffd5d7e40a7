import { setTimeout as delay } from 'node:timers/promises'
import { announced, issueShortLived } from './expiry.ts'
import type { Issued, Sweep } from './issuer.ts'
import {
  askBystanders,
  enforced,
  logInAll,
  revoke,
  type AppliedMs,
  type Done,
  type Show,
} from './show.ts'
import { duration, line, longest, perService } from './words.ts'

const EXPIRIES = { count: 40, inUse: 2 }
const WITHIN_MS = 12_000
const SWEPT_WITHIN_MS = 8_000
const LOOK_EVERY_MS = 100

/**
 * The relay stops: its way to RabbitMQ hangs, then the notifier is killed. What it had committed lies
 * unsent and nobody announces what expires, until the poller's sweep finds both.
 */
export async function playDeadRelay(show: Show): Promise<void> {
  const { stage, issuer, ledger, say } = show
  const users = await logInAll(show, people('judy', 'kim', 'leo'))
  const guests = await issueShortLived(show, EXPIRIES.count, EXPIRIES.inUse)
  const seenUntil = (await issuer.sweeps(stage.poller))[0]?.at ?? 0

  stage.stallRelay()
  const done = await revokeEach(show, users)
  await stage.killNotifier()
  say(line('relay stopped', `RabbitMQ out of the notifier's reach: ${answers(done)}`))
  say(
    line(
      '',
      `then the notifier is killed, ${guests.length} tokens about to expire with nobody to say so`,
    ),
  )

  const applied = await enforcedAll(show, done)
  const late = await announced(show, guests, EXPIRIES.inUse, WITHIN_MS)
  const caught = await sweptSince(show, seenUntil, done.length + guests.length)
  ledger.caughtByPoller += caught.entries + caught.tokens
  const what = `${caught.entries} unsent entries and ${caught.tokens} overdue tokens`
  say(line('', `the poller's sweep caught ${what}; revoked in ${perService(applied)}`))
  say(line('', `the last expiry was announced ${duration(longest(late))} after its second began`))
  await askBystanders(show)
  await stage.startNotifier()
}

/** RabbitMQ goes away: the services turn to the pull path. */
export async function playDeadRabbit(show: Show): Promise<void> {
  const { stage, ledger, say } = show
  const users = await logInAll(show, people('mia', 'nick', 'olga'))
  const guests = await issueShortLived(show, EXPIRIES.count, EXPIRIES.inUse)

  const word = await stage.killRabbit()
  await ledger.until(() => ledger.isPush('down'), WITHIN_MS)
  const done = await revokeEach(show, users)
  say(line(`RabbitMQ ${word}`, answers(done)))

  const applied = await enforcedAll(show, done)
  const late = await announced(show, guests, EXPIRIES.inUse, WITHIN_MS)
  say(line('', `the services pull: revoked in ${perService(applied)}`))
  say(
    line(
      '',
      `${late.length} announcements of ${guests.length} expiries pulled, the last after ${duration(longest(late))}`,
    ),
  )
  await askBystanders(show)
}

function people(...names: string[]): { sub: string }[] {
  return names.map((sub) => ({ sub }))
}

async function revokeEach(show: Show, tokens: readonly Issued[]): Promise<Done[]> {
  const done: Done[] = []
  for (const token of tokens) {
    done.push(
      await revoke(show, { match: { sub: token.sub }, reason: 'suspension', dies: [token] }),
    )
  }
  return done
}

function answers(done: readonly Done[]): string {
  return `${done.length} revocations answered in ${done.map(({ answeredMs }) => duration(answeredMs)).join(', ')}`
}

/** The slowest of several revocations in each service. */
async function enforcedAll(show: Show, done: readonly Done[]): Promise<AppliedMs> {
  const all = await Promise.all(done.map((one) => enforced(show, one, WITHIN_MS)))
  const slowest = ([name]: [string, unknown]): [string, number | undefined] => {
    const times = all.map((applied) => applied[name as keyof AppliedMs])
    return [name, times.includes(undefined) ? undefined : Math.max(...times.map(Number))]
  }
  return Object.fromEntries(Object.entries(all[0] ?? {}).map(slowest)) as unknown as AppliedMs
}

/** What the sweeps since then say they caught. They report at their end, so a moment is left for as much as is looked for. */
async function sweptSince(
  { issuer, stage }: Show,
  since: number,
  lookedFor: number,
): Promise<{ entries: number; tokens: number }> {
  const deadline = performance.now() + SWEPT_WITHIN_MS
  for (;;) {
    const sweeps = (await issuer.sweeps(stage.poller)).filter(({ at }) => at > since)
    const sum = (name: keyof Sweep): number => sweeps.reduce((all, sweep) => all + sweep[name], 0)
    const caught = { entries: sum('unsentEntries'), tokens: sum('overdueTokens') }
    const isAll = caught.entries + caught.tokens >= lookedFor
    if (isAll || performance.now() > deadline) return caught
    await delay(LOOK_EVERY_MS)
  }
}
