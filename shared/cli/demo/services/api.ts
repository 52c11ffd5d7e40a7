import express, { type RequestHandler } from 'express'
import { createServer } from 'node:http'
import { knell } from '../../../frameworks/express.ts'
import { freshMs, machineMs } from '../messages.ts'
import { openService } from './open-service.ts'

/** An HTTP API that checks the token of every request, from memory. */

const CHECKS = 200_000

const service = await openService('api')
const options = { subscriber: service.knell, exposeReason: true }

const serve: RequestHandler = ({ auth, knell }, response) => {
  response.json({ code: knell?.decision.code })
  if (auth === undefined || knell === undefined) return
  const { decision, header, tenant } = knell
  // A request is over at once. Only to be able to say when it would first be refused is it remembered.
  service.admit({ ...decision, claims: auth, header, tenant }, () => {})
}

const app = express()
app.get('/', knell(options), serve)
// What matters more wants fresher news of the dead.
app.get('/payments', knell({ ...options, maxStaleness: freshMs }), serve)

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
  server: createServer((request, response) => void app(request, response)),
  answer: async (question) => (question.ask === 'checkNs' ? measureCheck(question.token) : ''),
})
