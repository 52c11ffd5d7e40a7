import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { claimsHeaders } from '../../shared/agent/claims-headers.ts'
import { eventually } from '../support/eventually.ts'
import { bearer, get } from '../support/http-call.ts'
import { createIssuer } from '../support/issuer.ts'
import { openNginx, type GuardedService } from '../support/nginx.ts'
import { agentEnv, ask, spawnAgent, type SpawnedAgent } from '../support/spawned-agent.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'
import { needTool } from '../support/tools.ts'

describe('a service behind nginx with the configuration of docs/agent', function () {
  this.timeout(60_000)
  const issuer = createIssuer()
  const folder = mkdtempSync(join(tmpdir(), 'knell-agent-nginx-'))
  let system: TestSystem
  let notifier: KnellProcess
  const opened: { agent: SpawnedAgent; service: GuardedService }[] = []

  before(async function () {
    const nginx = await needTool(this, 'nginx')
    this.timeout(60_000)
    system = createSystem({ BEAT: '300ms' })
    notifier = await system.start('notifier')
    for (const LISTEN of ['127.0.0.1:0', `unix:${folder}/agent.sock`]) {
      const env = agentEnv(system, {
        LISTEN,
        JWT_KEYS: JSON.stringify(issuer.verify.keys),
        ISSUER: issuer.verify.issuer,
        MAX_STALENESS: '3s',
      })
      const agent = await spawnAgent(env)
      await eventually(async () => (await ask(agent, '/readyz')).status === 200)
      opened.push({ agent, service: await openNginx(nginx, agent.url) })
    }
  })
  after(async () => {
    for (const { agent, service } of opened) {
      await service.stop()
      agent.kill('SIGKILL')
      await agent.ended
    }
    await system?.stop()
    rmSync(folder, { recursive: true })
  })

  for (const [index, way] of ['loopback', 'a Unix socket'].entries()) {
    describe(`asking over ${way}`, () => {
      let url: string
      let reached: GuardedService['reached']
      before(() => {
        const one = opened[index]
        if (one === undefined) throw new Error('there is no nginx')
        ;({ url, reached } = one.service)
      })

      it('is reached with the claims as headers, and with none that the client made up', async () => {
        const token = issuer.token('nina', { scope: 'orders:read' })
        const made = claimsHeaders.flatMap((header) => [header, 'forged'])
        const answer = await get(`${url}/orders`, [...bearer(token), ...made, 'knell_sub', 'root'])
        expect(answer.status).to.equal(200)
        expect(answer.text).to.equal('orders')
        const seen = reached.at(-1)
        expect(seen).to.include({
          'knell-sub': 'nina',
          'knell-tenant': 'default',
          'knell-scope': 'orders:read',
        })
        expect(seen).to.not.have.any.keys('knell-sid', 'knell-client-id', 'knell_sub')
        expect(JSON.stringify(seen)).to.not.match(/forged|root/)
      })

      it('is not reached by a dead token, one that lacks a scope, or none', async () => {
        const before = reached.length
        const token = issuer.token(`olga-${index}`, { sid: `sid-${index}` })
        expect((await get(url, bearer(token))).status).to.equal(200)
        const admin = await get(`${url}/admin/`, bearer(token))
        expect(admin.status).to.equal(403)
        expect(admin.headers['www-authenticate'])
          .to.include('error="insufficient_scope"')
          .and.include('scope="orders:admin"')
        const boss = issuer.token('boss', { scope: 'orders:admin' })
        expect((await get(`${url}/admin/`, bearer(boss))).status).to.equal(200)
        const none = await get(url)
        expect(none.status).to.equal(401)
        expect(none.headers['www-authenticate']).to.equal('Bearer realm="api"')
        const malformed = await get(url, bearer('two words'))
        expect(malformed.status).to.equal(400)
        expect(malformed.headers['www-authenticate']).to.include('error="invalid_request"')
        const body = { match: { sid: `sid-${index}` }, wait: { for: 'all' } }
        const done = await call(notifier, system.apiKey, '/v1/revocations', body)
        expect(done.body['enforced']).to.include({ done: true })
        const dead = await get(url, bearer(token))
        expect(dead.status).to.equal(401)
        expect(dead.headers['www-authenticate']).to.include('error="invalid_token"')
        expect(reached.length - before).to.equal(2)
      })
    })
  }

  // Last, for it ends the notifier and the agents.
  describe('with nobody to ask', () => {
    it('is not reached while nobody can say whether a token lives, nor without the agent', async () => {
      const headers = bearer(issuer.token('petra'))
      await notifier.kill()
      for (const { agent, service } of opened) {
        await eventually(async () => {
          const { status, headers: told } = await get(service.url, headers)
          return status === 503 && told['retry-after'] === '2'
        })
        expect((await ask(agent, '/readyz')).body).to.deep.equal({ status: 'stale' })
        const before = service.reached.length
        agent.kill('SIGKILL')
        await agent.ended
        expect((await get(service.url, headers)).status).to.equal(503)
        expect(service.reached.length).to.equal(before)
      }
    })
  })
})
