import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort, isFree } from '../../shared/cli/engines/free-port.ts'
import { eventually } from '../support/eventually.ts'
import { knellFile, runKnell } from '../support/run-knell.ts'
import { createSystem, type TestSystem } from '../support/system.ts'

describe('knell notifier and knell poller', function () {
  this.timeout(60_000)
  let system: TestSystem
  before(() => {
    system = createSystem()
  })
  after(() => system.stop())

  const settings = (port: number): Record<string, string> => ({
    PATH: String(process.env['PATH']),
    ...(system.env as Record<string, string>),
    NAMESPACE: system.namespace,
    HOST: '127.0.0.1',
    PORT: `${port}`,
  })

  for (const kind of ['notifier', 'poller'] as const) {
    it(`runs a ${kind} that dies with the command, and ends by a signal`, async () => {
      const port = await freePort()
      for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
        const child = spawn(process.execPath, [knellFile, kind], {
          env: settings(port),
          stdio: 'ignore',
        })
        const exited = once(child, 'exit')
        try {
          await eventually(() => answers(port), { what: `the ${kind}` })
        } finally {
          child.kill(signal)
        }
        expect(await exited).to.deep.equal(signal === 'SIGTERM' ? [0, null] : [null, signal])
        expect(await isFree(port), `the port after ${signal}`).to.equal(true)
      }
    })
  }

  it('tells a taken port in words, and ends with 1', async () => {
    const { port } = await system.start('notifier')
    const ran = await runKnell(['notifier'], { env: settings(port) })
    expect(ran.code).to.equal(1)
    expect(ran.out)
      .to.include(`Port ${port} of 127.0.0.1 is taken: set PORT to another one`)
      .and.not.include('at Server.')
  })
})

async function answers(port: number): Promise<boolean> {
  try {
    const headers = { connection: 'close' }
    return (await fetch(`http://127.0.0.1:${port}/readyz`, { headers })).ok
  } catch {
    return false
  }
}
