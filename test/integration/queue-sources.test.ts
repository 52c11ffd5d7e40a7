import { expect } from 'chai'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseManagementUrl, parsePrometheusUrl } from '../../shared/config/rabbit-urls.ts'
import { namesOf } from '../../shared/domain/names.ts'
import { readManagement } from '../../shared/queues/management-reader.ts'
import { readPrometheus } from '../../shared/queues/prometheus-reader.ts'
import type { SourceReading } from '../../shared/queues/queue-count.ts'

const names = namesOf('knell')
const AMQP = 'amqp://me:p%40ss@broker.example/shop%2fa'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** What a source makes of answers that RabbitMQ would not give: something else stands at its address. */
describe('the sources of queue figures', function () {
  this.timeout(20_000)
  let server: Server
  let url: string
  let answer: Answer
  let seen: IncomingMessage[]

  before(async () => {
    server = createServer((request, response) => {
      seen.push(request)
      answer(request, response)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  beforeEach(() => {
    seen = []
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })

  const management = async (at = url): Promise<SourceReading> => {
    const target = parseManagementUrl(at, AMQP)
    if (target === undefined) throw new Error('no URL')
    return readManagement(names, target)
  }
  const prometheus = async (at = url): Promise<SourceReading> => {
    const target = parsePrometheusUrl(at, AMQP)
    if (target === undefined) throw new Error('no URL')
    return readPrometheus(names, target)
  }
  const send =
    (status: number, body: string, headers: Record<string, string> = {}): Answer =>
    (_request, response) => {
      response.writeHead(status, headers).end(body)
    }

  it('log in as the user of the AMQP URL, and ask for its virtual host only', async () => {
    answer = send(404, '')
    await management()
    const paths = seen.map((request) => String(request.url)).sort()
    expect(paths[0]).to.equal('/api/health/checks/alarms')
    expect(paths[1]).to.match(
      /^\/api\/queues\/shop%2Fa\?name=%5Eknell%5C\.service%5C\.&use_regex=true&/,
    )
    const basic = `Basic ${Buffer.from('me:p@ss').toString('base64')}`
    expect(seen.map(({ headers }) => headers.authorization)).to.deep.equal([basic, basic])
  })

  it('log in as the user of their own URL, and keep a path before the API', async () => {
    answer = send(404, '')
    await management(url.replace('http://', 'http://you:secret@') + '/rabbit/')
    expect(seen[0]?.url).to.match(/^\/rabbit\/api\//)
    const basic = `Basic ${Buffer.from('you:secret').toString('base64')}`
    expect(seen[0]?.headers.authorization).to.equal(basic)
  })

  for (const [what, given, state, reason] of [
    ['a 404', send(404, '{}'), 'not_offered', 'it answers 404'],
    ['a refused login', send(401, '{}'), 'failed', 'it refuses the login (401)'],
    ['a forbidden call', send(403, '{}'), 'failed', 'it refuses the login (403)'],
    ['a server error', send(500, 'oops'), 'failed', 'it answers 500'],
    ['a redirect', send(302, '', { location: 'http://127.0.0.1:1/' }), 'failed', 'it answers 302'],
    ['a page of HTML', send(200, '<html>'), 'failed', 'the answer is not that of'],
    [
      'JSON of another shape',
      send(200, '{"items":[{"name":1}]}'),
      'failed',
      'the answer is not that of',
    ],
    [
      'an endless answer',
      send(200, 'x'.repeat(5_000_000)),
      'failed',
      'the answer is longer than 4194304 bytes',
    ],
  ] as const) {
    it(`say of ${what} that they are ${state}`, async () => {
      answer = given
      for (const read of [management, prometheus]) {
        const { offer, counts, alarms } = await read()
        expect(offer.state).to.equal(state)
        expect(offer.reason).to.include(reason)
        expect(counts).to.deep.equal([])
        expect(alarms).to.equal(undefined)
      }
    })
  }

  it('say that they are not offered where nothing listens', async () => {
    const other = createServer()
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const free = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    other.close()
    await once(other, 'close')
    for (const read of [management, prometheus]) {
      const { offer } = await read(free)
      expect(offer).to.deep.equal({ state: 'not_offered', reason: 'nothing listens there' })
    }
  })

  it('wait for three seconds and no longer', async () => {
    answer = () => {}
    const started = performance.now()
    const [{ offer }, other] = await Promise.all([management(), prometheus()])
    expect(offer).to.deep.equal({ state: 'failed', reason: 'no answer within 3 s' })
    expect(other.offer).to.deep.equal(offer)
    expect(performance.now() - started).to.be.within(2900, 9000)
  })

  it('name the alarms that a 503 tells of', async () => {
    const alarms = [{ node: 'rabbit@a', resource: 'memory' }, { resource: 'disk' }, {}]
    answer = (request, response) => {
      if (request.url?.includes('alarms') !== true) return send(404, '')(request, response)
      return send(503, JSON.stringify({ status: 'failed', alarms }))(request, response)
    }
    const found = await management()
    expect(found.alarms).to.deep.equal(['memory on rabbit@a', 'disk', 'unknown'])
    expect(found.alarmOffer.state).to.equal('offered')
    expect(found.offer.state).to.equal('not_offered')
  })
})
