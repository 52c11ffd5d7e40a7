import { expect } from 'chai'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { runKnell, type Ran } from '../support/run-knell.ts'

/** ESC, BEL, NUL, CSI of C1, a bidi override and mark, and a line of its own. */
const HOSTILE = 'x\u001b[2J\u0007\u0000\u009b31m\u202e\u200f\r\nenforced by 9 of 9'
const SHOWN = 'x\\u001b[2J\\u0007\\u0000\\u009b31m\\u202e\\u200f\\u000d\\u000aenforced by 9 of 9'
// oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for.
const STEERING = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/

const answers: Readonly<Record<string, unknown>> = {
  '/v1/queues': {
    verdict: HOSTILE,
    reason: HOSTILE,
    parts: [{ part: HOSTILE, verdict: 'ok', reason: HOSTILE }],
    bullmq: [{ queue: 'q', counts: { [HOSTILE]: 1 } }],
  },
  '/v1/subscribers': { tenant: 't', at: 0, subscribers: [], handlers: [{ service: HOSTILE }] },
  '/v1/revocations': {
    id: HOSTILE,
    enforced: { done: true, live: HOSTILE, applied: HOSTILE, ms: 1, missing: [] },
  },
  '/v1/sweeps': { job: HOSTILE },
}

describe('what a hostile server answers', () => {
  const server = createServer((request, response) => {
    const path = new URL(String(request.url), 'http://localhost').pathname
    const send = (status: number, type: string, text: string): void => {
      response.writeHead(status, { 'content-type': type, connection: 'close' }).end(text)
    }
    if (path === '/v1/audit') {
      // As JSON itself allows: only C0 must be escaped.
      const lines = `${JSON.stringify({ note: HOSTILE })}\n{"end":true,"count":1}\n`
      send(200, 'application/x-ndjson', lines)
    } else if (path in answers) send(200, 'application/json', JSON.stringify(answers[path]))
    else send(400, 'application/problem+json', JSON.stringify({ code: 'x', detail: HOSTILE }))
  })
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  after(() => new Promise((resolve) => server.close(resolve)))

  async function knell(...args: string[]): Promise<Ran> {
    const { port } = server.address() as AddressInfo
    const ran = await runKnell(args, { env: { KNELL_URL: `http://127.0.0.1:${port}` } })
    expect(ran.out + ran.err, args.join(' ')).to.not.match(STEERING)
    for (const line of ran.out.split('\n')) {
      expect(line, 'a line of its own').to.not.match(/^enforced by 9/)
    }
    return ran
  }

  it('neither steers the terminal nor forges a line', async function () {
    this.timeout(120_000)
    expect((await knell('queues')).out.split('\n')[0]).to.equal(`verdict  ${SHOWN}  ${SHOWN}`)
    expect((await knell('subscribers')).out).to.include(`with handlers: ${SHOWN}\n`)
    expect((await knell('revoke', '--sub', 'a', '--wait')).out).to.include(
      `enforced on ${SHOWN} of ${SHOWN} instances in `,
    )
    expect((await knell('sweep')).out).to.equal(`asked for (job ${SHOWN})\n`)
    expect((await knell('schedule')).err).to.equal(`x: ${SHOWN}\n`)
  })

  it('means the same in JSON, written so that it is harmless there as well', async function () {
    this.timeout(120_000)
    const { out } = await knell('queues', '--json')
    expect(JSON.parse(out)).to.deep.equal(answers['/v1/queues'])
    const exported = await knell('audit', '--export')
    expect(exported.code).to.equal(0)
    expect(JSON.parse(exported.out.split('\n')[0] ?? '')).to.deep.equal({ note: HOSTILE })
  })
})
