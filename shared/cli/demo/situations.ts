import type { Issued } from './issuer.ts'
import { isProved, PROOF } from './proof.ts'
import {
  askBystanders,
  enforced,
  logIn,
  logInAll,
  revoke,
  type Deed,
  type Done,
  type Show,
} from './show.ts'
import { line, perService, spread } from './words.ts'

const WITHIN_MS = 8_000
const SAMPLE = 60

interface Situation extends Deed {
  readonly title: string
  /** What is dead now, as the subject of a sentence. */
  readonly dead: string
  readonly but?: string
}

/** The six situations in which tokens must die early, each as its own kind of revocation. */
export async function playSituations(show: Show): Promise<void> {
  const { bystanders } = show

  const phone = await logIn(show, { sub: 'alice' })
  bystanders.push(await logIn(show, { sub: 'alice' }))
  await play(show, {
    title: 'logout',
    match: { sid: phone.sid },
    reason: 'logout',
    dies: [phone],
    dead: "alice's phone session is",
    but: "her laptop's goes on",
  })

  const editor = await logIn(show, { sub: 'bob' })
  const { issuedBefore } = await play(show, {
    title: 'role change',
    match: { sub: 'bob' },
    reason: 'role-change',
    dies: [editor],
    dead: "bob's token with his old role is",
    but: 'his new one is good at once',
  })
  // A cut-off of now includes the second that has begun, so what is to live is dated after it.
  bystanders.push(await logIn(show, { sub: 'bob', iat: (issuedBefore ?? 0) + 1 }))

  const leaked = ['carol', 'dave', 'erin'].map((sub) => ({ sub, clientId: 'leaky-app' }))
  bystanders.push(await logIn(show, { sub: 'carol' }))
  await play(show, {
    title: 'breach',
    match: { client_id: 'leaky-app' },
    reason: 'breach',
    dies: await logInAll(show, leaked),
    dead: 'all tokens of an app that leaked are',
    but: "the same users' others go on",
  })

  await play(show, {
    title: 'suspension',
    match: { sub: 'frank' },
    reason: 'suspension',
    dies: await logInAll(show, [{ sub: 'frank' }, { sub: 'frank' }]),
    dead: "suspended frank's tokens are",
  })
  await play(show, {
    title: 'deletion',
    match: { sub: 'grace' },
    reason: 'deletion',
    dies: [await logIn(show, { sub: 'grace' })],
    dead: "deleted grace's token is",
  })

  const current = await logIn(show, { sub: 'heidi' })
  bystanders.push(current)
  await play(show, {
    title: 'password change',
    match: { sub: 'heidi' },
    except: { sid: current.sid },
    reason: 'password-change',
    dies: await logInAll(show, [{ sub: 'heidi' }, { sub: 'heidi' }]),
    dead: "heidi's other sessions are",
    but: 'the one she is in goes on',
  })

  const odd = await logIn(show, { sub: 'ivan' })
  bystanders.push(await logIn(show, { sub: 'ivan' }))
  await play(show, {
    title: 'anomaly',
    match: { jti: odd.jti },
    reason: 'anomaly',
    dies: [odd],
    dead: 'one odd token of ivan is',
    but: 'his other one goes on',
  })
}

async function play(show: Show, situation: Situation): Promise<Done> {
  const { title, dead, but, ...deed } = situation
  const done = await revoke(show, { ...deed, wait: PROOF })
  await isProved(show, done)
  const applied = await enforced(show, done, show.ledger.patience(WITHIN_MS))
  note(show, Object.values(applied))
  show.say(line(title, `${dead} dead in ${perService(applied)}${but ? `; ${but}` : ''}`))
  await askBystanders(show)
  return done
}

/** Further revocations one by one, for the percentiles of the push path. */
export async function playSample(show: Show): Promise<void> {
  const users = Array.from({ length: SAMPLE }, (_, i) => ({ sub: `user-${i}` }))
  const tokens = await logInAll(show, users)
  const before = show.ledger.pushMs.length
  const answered: number[] = []
  for (const token of tokens) {
    answered.push(await revokeOne(show, token))
    // How fast something is that does not work is not worth the wait.
    if (show.ledger.missed > 0) break
  }
  const sample = show.ledger.pushMs.slice(before)
  const text = `one by one, answered in ${spread(answered)}; dead in a service in ${spread(sample)}`
  show.say(line(`${SAMPLE} more`, text))
  await askBystanders(show)
}

async function revokeOne(show: Show, token: Issued): Promise<number> {
  const done = await revoke(show, { match: { jti: token.jti }, reason: 'other', dies: [token] })
  note(show, Object.values(await enforced(show, done, show.ledger.patience(WITHIN_MS))))
  return done.answeredMs
}

function note({ ledger }: Show, applied: readonly (number | undefined)[]): void {
  for (const ms of applied) if (ms !== undefined) ledger.pushMs.push(ms)
}
