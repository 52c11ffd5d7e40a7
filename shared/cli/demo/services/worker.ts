import { setTimeout as delay } from 'node:timers/promises'
import { aboutOf } from '../messages.ts'
import { openService } from './open-service.ts'

/**
 * A background worker whose long jobs stop when the token they were begun with dies, and which clears
 * up after every death, whatever becomes of the process that has begun to.
 */

const STEP_MS = 50
/** Longer than the demo lets it live then. */
const LINGER_MS = 20_000

/** What has become of each job: `active` while it runs, else the code it was stopped with. */
const jobs = new Map<string, string>()

const service = await openService('worker')

/** Begins a job, if its token is good, and answers the decision's code. */
async function work(token: string): Promise<string> {
  const result = await service.knell.verify(token)
  const jti = String(result.claims?.['jti'])
  if (result.active) {
    const stop = new AbortController()
    let code = 'active'
    jobs.set(jti, code)
    service.admit(result, (ended) => {
      code = ended
      stop.abort()
    })
    void runJob(jti, stop.signal).then(() => jobs.set(jti, code))
  }
  return result.code
}

/** A job without end, in small steps. Its token is checked before each, and its death cuts a step short. */
async function runJob(jti: string, stopped: AbortSignal): Promise<void> {
  try {
    while (service.isAdmitted(jti)) await delay(STEP_MS, undefined, { signal: stopped })
  } catch (error) {
    if (!stopped.aborted) throw error
  }
}

let isLingering = false
await service.knell.handle(['revoked', 'expired'], async (event, { signal }) => {
  const about = aboutOf(event)
  await service.tell({ type: 'handling', about })
  if (isLingering) await delay(LINGER_MS, undefined, { signal })
  await service.tell({ type: 'handled', about })
})

await service.begin({
  answer: async (question) => {
    if (question.ask === 'work') return work(question.token)
    if (question.ask === 'linger') isLingering = true
    return question.ask === 'job' ? (jobs.get(question.jti) ?? 'no job') : ''
  },
})
