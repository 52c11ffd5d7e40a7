import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { runKnell, type Ran, type RunOptions } from '../support/run-knell.ts'
import { createSystem, now, type TestSystem } from '../support/system.ts'

describe('knell, the command line', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess
  let env: Record<string, string>

  before(async () => {
    system = createSystem()
    notifier = await system.start('notifier')
    env = { KNELL_URL: notifier.url, KNELL_API_KEY: system.apiKey }
  })
  after(() => system.stop())

  const knell = (args: readonly string[], options: RunOptions = {}): Promise<Ran> =>
    runKnell(args, { ...options, env: { ...env, ...options.env } })

  const json = (ran: Ran): Record<string, unknown> => {
    expect(ran.err).to.equal('')
    return JSON.parse(ran.out) as Record<string, unknown>
  }

  it('revokes what a service then refuses, and proves it', async () => {
    const service = await system.subscribe({ service: 'orders' })
    await eventually(() => service.stats.push === 'up', { what: 'the push path' })
    const ran = await knell(['revoke', '--sub', 'alice', '--reason', 'logout', '--wait', '--json'])
    expect(ran.code).to.equal(0)
    const made = json(ran)
    expect(made['enforced']).to.include({ done: true, live: 1, applied: 1 })
    const iat = now() - 60
    expect(service.check({ sub: 'alice', iat, exp: iat + 600 })).to.include({
      code: 'revoked',
      reason: 'logout',
    })
  })

  it('says by its exit code whether a token is dead', async () => {
    await knell(['revoke', '--sub', 'carol'])
    const dead = await knell(['check', '--sub', 'carol'])
    expect(dead.code).to.equal(3)
    expect(dead.out).to.match(/^revoked/)
    const alive = await knell(['check', '--sub', 'dave'])
    expect(alive.code).to.equal(0)
    expect(alive.out).to.match(/^active/)
    const unknown = await knell(['check', '--claims', '{"sub":"dave"}'])
    expect(unknown.code).to.equal(4)
  })

  it('shows how Knell is', async () => {
    const ran = await knell(['status'])
    expect(ran).to.include({ code: 0, err: '' })
    expect(ran.out)
      .to.match(/store +ok/)
      .and.match(/RabbitMQ +ok/)
  })
})
