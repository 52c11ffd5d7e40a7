import { expect } from 'chai'
import fc from 'fast-check'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { fuzzAsync } from '../support/fuzz/fuzz.ts'
import { createFuzzedSystem, type FuzzedSystem } from '../support/fuzz/fuzzed-system.ts'
import { expectCoded } from '../support/fuzz/http-expectations.ts'
import { mutatedRequests, requestsOf, type HttpInput } from '../support/fuzz/http-inputs.ts'
import { exchange } from '../support/fuzz/raw-http.ts'
import type { Asked } from '../support/contract-client.ts'
import { get } from '../support/http-call.ts'
import { agentEnv, spawnAgent, type SpawnedAgent } from '../support/spawned-agent.ts'
import { oldToken } from '../support/system.ts'

const TOGETHER = 8
const ROUNDS = 3

describe('the calls of an agent, fuzzed', function () {
  this.timeout(0)
  let system: FuzzedSystem
  let notifier: KnellProcess
  let agent: SpawnedAgent
  let samples: Readonly<Record<string, readonly Asked[]>>

  before(async () => {
    system = createFuzzedSystem()
    notifier = await system.start('notifier')
    const { issuer, keys } = system.issuer.verify
    agent = await spawnAgent(
      agentEnv(system, { ISSUER: issuer, JWT_KEYS: JSON.stringify(keys), LOG_LEVEL: 'info' }),
    )
    const token = system.issuer.token('ann')
    samples = {
      'POST /check': [{ body: { claims: { sub: 'a', ...oldToken() }, header: { kid: 'k' } } }],
      'POST /verify': [{ body: { token } }],
      'GET /authorize': [
        { headers: { authorization: `Bearer ${token}` } },
        { query: { scope: 'a b', tenant: 'default' } },
      ],
      'GET /freshness': [{}],
      'GET /metrics': [{}],
    }
  })
  after(async () => {
    agent?.kill('SIGTERM')
    await agent?.ended
    await system?.stop()
  })

  for (const call of ['check', 'verify', 'authorize', 'freshness', 'metrics']) {
    it(`/${call} answers whatever comes, and an error with a code`, async () => {
      const [name = '', asked = []] =
        Object.entries(samples).find(([each]) => each.endsWith(`/${call}`)) ?? []
      const port = Number(new URL(agent.url).port)
      const requests = requestsOf(name, asked, system.apiKey).map((request) => ({
        ...request,
        // The agent has no keys of callers; a token is what it looks at.
        headers: request.headers.filter(([, value]) => value !== `Bearer ${system.apiKey}`),
      }))
      const check = async (inputs: readonly HttpInput[]): Promise<void> => {
        await Promise.all(
          inputs.map(async (input) => {
            const patience = input.isWhole ? 10_000 : 200
            expectCoded(name, input, await exchange(port, input.bytes, patience))
          }),
        )
      }
      const some = fc.array(mutatedRequests(requests, undefined), {
        minLength: TOGETHER,
        maxLength: TOGETHER,
      })
      const effort = { runs: ROUNDS, boundMs: 60_000, each: TOGETHER }
      await fuzzAsync(`${name} of an agent`, some, check, effort)
    })
  }

  it('leaves everything working', async () => {
    expect((await get(`${agent.url}/livez`)).status).to.equal(200)
    expect(agent.output.filter((line) => /"level":(?:50|60)\b/.test(line))).to.deep.equal([])
    expect(notifier.output.filter((line) => /"level":60\b/.test(line))).to.deep.equal([])
  })
})
