import { expect } from 'chai'
import { execSync } from 'node:child_process'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { scrape } from '../support/metrics.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

/** What strangers and clumsy callers do to the HTTP servers. */
describe('a flood of HTTP', function () {
  this.timeout(120_000)
  let system: TestSystem
  let witness: Witness
  let notifier: KnellProcess
  let sockets: Socket[]

  beforeEach(async () => {
    sockets = []
    system = createSystem()
    witness = createWitness(system)
    notifier = await system.start('notifier')
  })

  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    await system.stop()
  })

  /** Others are served, and quickly, whatever goes on. */
  async function served(sub: string): Promise<void> {
    const started = performance.now()
    expect((await witness.revoke(notifier, { sub }))?.status).to.equal(201)
    expect(performance.now() - started).to.be.below(5000)
  }

  async function open(count: number, say: string): Promise<void> {
    // A few hundred at a time: more would wait in the line of those that are not accepted yet.
    for (let left = count; left > 0; left -= 250) {
      const some = Array.from({ length: Math.min(250, left) }, () => {
        const socket = connect(notifier.port, '127.0.0.1')
        socket.on('error', () => {})
        sockets.push(socket)
        return once(socket, 'connect').then(() => socket.write(say))
      })
      await Promise.all(some)
    }
  }

  const memory = async (): Promise<number> =>
    (await scrape(notifier.url, system.apiKey)).value('process_resident_memory_bytes') ?? 0

  it('with 10,000 connections that say nothing leaves the others served, within bounded memory', async () => {
    await served('before')
    const before = await memory()
    // Each has one end in this process and one in the other.
    const most = Number(execSync('ulimit -Hn', { encoding: 'utf8', shell: '/bin/sh' })) || 1e6
    const count = Math.min(10_000, most - 500)
    await open(count, '')
    await served('during')
    expect(((await memory()) - before) / count, 'bytes for each').to.be.below(30_000)
    for (const socket of sockets) socket.destroy()
    await served('after')
    await witness.holds(notifier)
  })

  it('with requests that come a byte at a time leaves the others served', async () => {
    await open(500, 'POST /v1/revocations HTTP/1.1\r\nhost: x\r\nx-slow: ')
    const trickle = setInterval(() => {
      for (const socket of sockets) socket.write('x')
    }, 100)
    try {
      for (let i = 0; i < 20; i++) await served(`slow-${i}`)
    } finally {
      clearInterval(trickle)
    }
    await witness.holds(notifier)
  })

  it('with bodies without end is cut off at the limit of a body, and keeps none of it', async () => {
    const before = await memory()
    for (const headers of [
      { 'content-length': 1_000_000_000 },
      { 'transfer-encoding': 'chunked' },
    ]) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => pour('/v1/revocations', headers)),
      )
      // Whoever goes on sending may be cut off before it has read the answer.
      expect(['413', 'cut off']).to.include.members([...new Set(answers)])
    }
    await served('after')
    expect((await memory()) - before).to.be.below(200_000_000)
    await witness.holds(notifier)
  })

  /** Sends a body for as long as it is taken; tells the status of the answer, or that none came. */
  function pour(path: string, headers: Readonly<Record<string, string | number>>): Promise<string> {
    return new Promise((resolve) => {
      const sent = request(notifier.url + path, {
        method: 'POST',
        agent: false,
        headers: {
          authorization: `Bearer ${system.apiKey}`,
          'content-type': 'application/json',
          ...headers,
        },
      })
      const chunk = Buffer.alloc(65_536, ' ')
      const more = (): void => {
        while (!sent.destroyed && sent.write(chunk));
      }
      sent.on('drain', more)
      sent.once('error', () => resolve('cut off'))
      sent.once('response', (response) => {
        response.resume()
        resolve(String(response.statusCode))
        sent.destroy()
      })
      more()
    })
  }

  it('with wrong secrets is told to slow down, while who has the right one is served', async () => {
    const wrong = await Promise.all(
      Array.from({ length: 300 }, () => call(notifier, 'no-such-secret-0123', '/v1/feed')),
    )
    expect(new Set(wrong.map(({ status }) => status))).to.deep.equal(new Set([401, 429]))
    await served('after')
    await eventually(async () => (await call(notifier, system.apiKey, '/readyz')).status === 200)
    await witness.holds(notifier)
  })
})
