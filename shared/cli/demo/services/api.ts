import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { machineMs } from '../messages.ts'
import { answerJson, bearerOf, openService } from './open-service.ts'

/** An HTTP API that checks the token of every request, from memory. */

const CHECKS = 200_000

const service = await openService('api')

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const result = await service.knell.verify(bearerOf(request))
  const { active, code, reason } = result
  answerJson(response, active ? 200 : 401, { code, reason })
  // A request is over at once. Only to be able to say when it would first be refused is it remembered.
  if (active) service.admit(result, () => {})
}

/** The mean of many checks, after as many that warm up. */
async function measureCheck(token: string): Promise<number> {
  const { claims, header } = await service.knell.verify(token)
  if (claims === undefined) return 0
  let active = 0
  let started = 0
  for (let i = -CHECKS; i < CHECKS; i += 1) {
    if (i === 0) started = machineMs()
    if (service.knell.check(claims, header).active) active += 1
  }
  const ns = ((machineMs() - started) * 1e6) / CHECKS
  return active === 2 * CHECKS ? Math.round(ns) : 0
}

await service.begin({
  server: createServer((request, response) => void serve(request, response)),
  answer: async (question) => (question.ask === 'checkNs' ? measureCheck(question.token) : ''),
})
