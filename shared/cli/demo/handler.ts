import { createFront } from './front.ts'
import { call, enforced, logInAll, revoke, type Done, type Show } from './show.ts'
import { duration, line } from './words.ts'

const USERS = ['zoe', 'yuri', 'xena', 'will', 'vera']
const WITHIN_MS = 12_000
/** A new process has to be started, and RabbitMQ has to notice that the old one is gone. */
const HANDLED_WITHIN_MS = 20_000

/**
 * The worker's handler is killed with `kill -9` in the midst of what it has to do after deaths, and
 * another instance does it.
 */
export async function playHandler(show: Show): Promise<void> {
  const { stage, ledger, say } = show
  const { services } = stage
  const { duties } = ledger
  const users = await logInAll(
    show,
    USERS.map((sub) => ({ sub })),
  )
  await ledger.until(() => duties.open.length === 0, WITHIN_MS / 2)
  await services.processes.get('worker')?.ask({ ask: 'linger' })
  const done: Done[] = []
  for (const token of users) {
    const deed = { match: { sub: token.sub }, reason: 'deletion', dies: [token] } as const
    done.push(await revoke(show, deed))
  }
  for (const one of done) await enforced(show, one, ledger.patience(WITHIN_MS))
  await ledger.until(() => duties.unfinished.length > 0, WITHIN_MS)

  await services.kill('worker')
  const killedAt = performance.now()
  const begun = duties.unfinished.length
  say(line('kill -9', `the worker is killed in the midst of handling ${begun} deaths`))
  const at = show.fronts.findIndex(({ name }) => name === 'worker')
  const front = createFront.worker(await services.replace('worker'))
  show.fronts[at] = front
  // What it had been working at is begun anew, for all who may.
  await Promise.all(show.bystanders.map((token) => call(show, front, token, 'use')))

  await ledger.until(() => duties.open.length === 0, HANDLED_WITHIN_MS)
  const after = duration(performance.now() - killedAt)
  const count = `${duties.owed - duties.open.length} of ${duties.owed} deaths so far are handled`
  say(line('', `another one goes on, and after ${after} ${count}`))
}

/** RabbitMQ comes back, and what could not reach the handler does. Then every death since the demo began must have been handled. */
export async function playReturn(show: Show): Promise<void> {
  const { stage, ledger, say } = show
  const waiting = ledger.duties.open.length
  await stage.restoreRabbit()
  const backAt = performance.now()
  await ledger.until(() => ledger.duties.open.length === 0, HANDLED_WITHIN_MS)
  const after = duration(performance.now() - backAt)
  ledger.settle()
  const count = `${ledger.handled} of ${ledger.duties.owed} deaths are handled, ${ledger.lost} lost`
  say(
    line(
      'RabbitMQ back',
      `${waiting} deaths had to wait for their handler; after ${after} ${count}`,
    ),
  )
}
