import { expect } from 'chai'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { compiled } from '../../shared/cli/checkout.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type TestSystem } from '../support/system.ts'

interface Told {
  readonly ready?: true
  readonly begun?: string
  readonly done?: string
}

/** A service's instance in a process of its own. */
interface Child {
  readonly process: ChildProcess
  readonly begun: string[]
  readonly done: string[]
}

describe('durable handlers, in processes that die', function () {
  this.timeout(120_000)
  let rabbit: PrivateEngine
  let system: TestSystem
  let notifier: KnellProcess
  let children: Child[]

  before(async () => {
    rabbit = await startRabbit()
  })
  after(() => rabbit.stop())
  beforeEach(async () => {
    system = createSystem({ AMQP_URL: rabbit.url })
    children = []
    notifier = await system.start('notifier')
  })
  afterEach(async () => {
    for (const { process } of children) {
      if (process.exitCode !== null || process.signalCode !== null) continue
      process.kill('SIGKILL')
      await once(process, 'exit')
    }
    await system.stop()
  })

  async function start(workMs: number): Promise<Child> {
    const process = fork(join(compiled, 'test/support/handler-child.js'), { stdio: 'inherit' })
    const child: Child = { process, begun: [], done: [] }
    let isReady = false
    process.on('message', (told: Told) => {
      if (told.ready === true) isReady = true
      if (told.begun !== undefined) child.begun.push(told.begun)
      if (told.done !== undefined) child.done.push(told.done)
    })
    children.push(child)
    const { namespace, apiKey } = system
    const options = { service: 'mailer', amqp: rabbit.url, pull: system.urls(), apiKey, namespace }
    process.send({ options, workMs })
    await eventually(() => isReady, { timeoutMs: 30_000, what: 'the child to handle' })
    return child
  }

  const revoke = async (sub: string): Promise<void> => {
    const { status } = await call(notifier, system.apiKey, '/v1/revocations', { match: { sub } })
    expect(status).to.equal(201)
  }

  const done = (): Set<string> => new Set(children.flatMap((child) => child.done))

  it('get what an instance held that was killed in the midst of it', async () => {
    const first = await start(3_600_000)
    for (let i = 0; i < 6; i++) await revoke(`u${i}`)
    await eventually(() => first.begun.length > 0, { what: 'the first to begin' })
    first.process.kill('SIGKILL')
    const second = await start(1)
    await eventually(() => done().size === 6, { timeoutMs: 30_000, what: 'all six' })
    expect(second.done).to.include(first.begun[0])
  })

  it('get what an instance held that was stopped, though its connection stays open', async () => {
    const first = await start(20)
    const second = await start(20)
    await revoke('warm')
    await eventually(() => done().size === 1)
    first.process.kill('SIGSTOP')
    for (let i = 0; i < 20; i++) await revoke(`u${i}`)
    // RabbitMQ gives up a silent connection after two to three of its heartbeats of 10 s.
    await eventually(() => second.done.length >= 20, { timeoutMs: 60_000, what: 'all twenty' })
    for (let i = 0; i < 20; i++) expect([...done()]).to.include(`u${i}`)
  })

  it('handle every event though the broker is killed and one instance after another dies', async () => {
    const total = 60
    await start(5)
    await start(5)
    const exp = now() + 4
    const claims = Array.from({ length: 20 }, (_, i) => ({ claims: { jti: `t${i}`, exp } }))
    await call(notifier, system.apiKey, '/v1/tokens', claims)
    for (let i = 0; i < total; i++) {
      await revoke(`u${i}`)
      if (i === 15) children[0]?.process.kill('SIGKILL')
      if (i === 25) await rabbit.signal('SIGKILL')
    }
    await rabbit.start()
    await start(5)
    await eventually(() => done().size === total + 20, { timeoutMs: 60_000, what: 'every event' })
    children[1]?.process.kill('SIGKILL')
    await revoke('last')
    await eventually(() => done().has('last'), { timeoutMs: 20_000, what: 'the last one' })
  })
})
