import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { exchange, type RawAnswer } from '../support/fuzz/raw-http.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

/** What fuzzing has found: each was answered without a code, or as a fault of ours. */
describe('a call that is not as it should be', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    system = createSystem()
    notifier = await system.start('notifier')
  })
  after(() => system.stop())

  async function send(...lines: readonly string[]): Promise<{ status: number; code: unknown }> {
    const head = [...lines, `authorization: Bearer ${system.apiKey}`, 'connection: close', '', '']
    const answer = (await exchange(
      notifier.port,
      Buffer.from(head.join('\r\n')),
      10_000,
    )) as RawAnswer
    const { code } = JSON.parse(answer.text) as { code?: unknown }
    return { status: answer.status, code }
  }

  it('is refused with a code where it has no Host', async () => {
    const told = await send('GET /v1/schedules HTTP/1.1')
    expect(told).to.deep.equal({ status: 400, code: 'invalid_request' })
  })

  it('is answered where it expects what nobody knows', async () => {
    const told = await send('GET /v1/nothing HTTP/1.1', 'host: a', 'expect: miracles')
    expect(told).to.deep.equal({ status: 404, code: 'not_found' })
  })

  it('is refused with a code where its path cannot be decoded', async () => {
    const told = await send('GET /v1/%zz HTTP/1.1', 'host: a')
    expect(told).to.deep.equal({ status: 400, code: 'invalid_request' })
  })

  it('is refused where its cursor is beyond what the store can count', async () => {
    const beyond = '99999999999999999999'
    for (const path of [
      `/v1/revocations?cursor=0.${beyond}`,
      `/v1/audit?cursor=1-${beyond}.0.default`,
    ]) {
      const told = await call(notifier, system.apiKey, path)
      expect([told.status, told.body['code']], path).to.deep.equal([400, 'invalid_request'])
    }
  })

  it('is refused where its body names what a stream has', async () => {
    const told = await call(notifier, system.apiKey, '/v1/tokens', { pipe: 1 })
    expect([told.status, told.body['code']]).to.deep.equal([400, 'invalid_request'])
  })
})
