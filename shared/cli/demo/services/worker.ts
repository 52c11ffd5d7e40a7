import { setTimeout as delay } from 'node:timers/promises'
import { openService } from './open-service.ts'

/** A background worker whose long jobs stop when the token they were begun with dies. */

const STEP_MS = 50

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

await service.begin({
  answer: async (question) => {
    if (question.ask === 'work') return work(question.token)
    return question.ask === 'job' ? (jobs.get(question.jti) ?? 'no job') : ''
  },
})
