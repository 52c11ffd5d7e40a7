import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { runCommand } from '../../shared/cli/engines/run-command.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { pythonScript, startPython, type PythonSubscriber } from '../support/python-subscriber.ts'
import { call, createSystem, oldToken, type TestSystem } from '../support/system.ts'
import { needTool } from '../support/tools.ts'
import { signatures, vectorFiles } from '../support/vectors.ts'

describe('a subscriber in Python', function () {
  this.timeout(60_000)
  let python: string
  let system: TestSystem
  let notifier: KnellProcess
  /** Between the broker and the subscriber, and between the broker and the notifier. */
  let away: Proxy
  let push: Proxy
  let service: PythonSubscriber

  const revoke = (match: object, wait?: object) =>
    call(notifier, system.apiKey, '/v1/revocations', { match, ...(wait ? { wait } : {}) })
  const forPython = { for: 'all', services: ['python'], timeoutMs: 20_000 }
  const codeOf = async (claims: object): Promise<unknown> =>
    (await service.decide({ ...oldToken(), ...claims }, {}))['code']
  const dies = (claims: object) =>
    eventually(async () => (await codeOf(claims)) === 'revoked', {
      timeoutMs: 20_000,
      what: `${JSON.stringify(claims)} to die`,
    })
  const statusWith = (isSo: (status: Record<string, unknown>) => boolean, what: string) =>
    eventually(
      async () => {
        const status = await service.status()
        if (!isSo(status)) throw new Error(JSON.stringify(status))
        return status
      },
      { timeoutMs: 20_000, what },
    )

  before(async function () {
    python = await needTool(this, 'python3', {
      'python3-pika': ['-c', 'import pika'],
      'python3-cryptography': ['-c', 'import cryptography'],
    })
    // The sweep would bring what the push path lost; here the subscriber itself is to find it.
    system = createSystem({ SWEEP_GRACE: '10m' })
    const amqp = new URL(String(system.env['AMQP_URL']))
    const target = { host: amqp.hostname, port: Number(amqp.port) }
    away = await openProxy({ target })
    push = await openProxy({ target })
    const poller = await system.start('poller')
    notifier = await system.start('notifier', { AMQP_URL: push.url(amqp.href) })
    service = startPython(
      python,
      [
        '--amqp',
        away.url(amqp.href),
        '--service',
        'python',
        '--pull',
        poller.url,
        '--pull',
        notifier.url,
        '--namespace',
        system.namespace,
        '--max-staleness-ms',
        '30000',
      ],
      { KNELL_API_KEY: system.apiKey },
    )
  })

  after(async () => {
    await service?.stop()
    await system?.stop()
    await away?.close()
    await push?.close()
  })

  it('decides as the vectors say', async () => {
    const folder = pythonScript.replace(/examples.*$/, 'vectors')
    const args = ['-B', pythonScript, '--vectors', folder]
    const { code, output } = await runCommand(python, args, { timeoutMs: 30_000 })
    const count =
      Object.values(vectorFiles).reduce((sum, { cases }) => sum + cases.length, 0) +
      signatures.signatures.length +
      signatures.digests.length
    expect(output).to.equal(`{"passed": ${count}, "failed": 0}\n`)
    expect(code).to.equal(0)
  })

  it('is ready once it has a snapshot and a queue, and lets in who is not revoked', async () => {
    await statusWith(({ ready, push: isUp }) => ready === true && isUp === true, 'a ready view')
    expect(await codeOf({ sub: 'alice' })).to.equal('active')
  })

  it('proves by its acks that a revocation is enforced, and refuses the token', async () => {
    const { body } = await revoke({ sub: 'alice' }, forPython)
    expect(body['enforced']).to.include({ done: true, live: 1, applied: 1 })
    const decision = await service.decide({ ...oldToken(), sub: 'alice' }, {})
    expect(decision).to.include({ active: false, code: 'revoked', reason: 'other' })
    expect(await codeOf({ sub: 'bob' })).to.equal('active')
    const { acks } = await service.status()
    expect(acks).to.be.above(0)
  })

  it('hears of a hold, a release and a restore', async () => {
    const match = { sub: 'erin' }
    const hold = { reviewBy: oldToken().iat + 3600, outcome: 'release' }
    const path = '/v1/revocations'
    await call(notifier, system.apiKey, path, { match, hold, reason: 'anomaly', wait: forPython })
    expect(await service.decide({ ...oldToken(), ...match }, {})).to.include({
      code: 'held',
      reason: 'anomaly',
    })
    await call(notifier, system.apiKey, `${path}/release`, { match })
    await eventually(async () => (await codeOf(match)) === 'active', { what: 'the release' })
    await revoke(match, forPython)
    expect(await codeOf(match)).to.equal('revoked')
    await call(notifier, system.apiKey, `${path}/restore`, { match })
    await eventually(async () => (await codeOf(match)) === 'active', { what: 'the restore' })
  })

  it('finds what was committed while nothing could be published, by the poller’s beats', async () => {
    push.stall()
    await revoke({ sub: 'carol' })
    await dies({ sub: 'carol' })
    await push.resume()
  })

  it('goes on without RabbitMQ, still proves what is enforced, and comes back to it', async () => {
    const before = await service.status()
    await away.cut()
    const { body } = await revoke({ sub: 'dave' }, forPython)
    const seen = JSON.stringify([body, await service.status()])
    expect(body['enforced'], seen).to.include({ done: true })
    expect(await codeOf({ sub: 'dave' })).to.equal('revoked')
    expect(await service.status()).to.include({ push: false, missing: false })
    await away.resume()
    const status = await statusWith(({ push: isUp }) => isUp === true, 'the push path')
    expect(status['connections']).to.equal(Number(before['connections']) + 1)
    const again = await revoke({ sub: 'frank' }, forPython)
    expect(again.body['enforced']).to.include({ done: true })
    expect(await codeOf({ sub: 'frank' })).to.equal('revoked')
  })

  it('keeps what an emptied store has forgotten', async () => {
    const before = await service.status()
    const redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    for (const key of await redis.keys(`${system.namespace}:*`)) await redis.del(key)
    redis.disconnect()
    const status = await statusWith(
      ({ snapshots, needsSnapshot }) =>
        Number(snapshots) > Number(before['snapshots']) && needsSnapshot === false,
      'a snapshot of the new epoch',
    )
    expect(status['positions']).to.not.deep.equal(before['positions'])
    const told = await call(notifier, system.apiKey, '/v1/revocations?sub=alice')
    expect(told.body['rule']).to.equal(null)
    expect(await codeOf({ sub: 'alice' })).to.equal('revoked')
    expect(await codeOf({ sub: 'bob' })).to.equal('active')
    await revoke({ sub: 'grace' })
    await dies({ sub: 'grace' })
  })

  it('is waited for no longer once it has left', async () => {
    expect(await service.stop(), service.log.slice(-20).join('\n')).to.equal(0)
    const isGone = async (): Promise<boolean> => {
      const { body } = await call(notifier, system.apiKey, '/v1/subscribers?service=python')
      const states = (body['subscribers'] as { state: string }[]).map(({ state }) => state)
      return states.every((state) => state === 'gone' || state === 'leaving')
    }
    await eventually(isGone, { what: 'the store to hear that it has left', timeoutMs: 45_000 })
    const { body } = await revoke({ sub: 'heidi' }, { for: 'all', timeoutMs: 10_000 })
    expect(body['enforced']).to.include({ live: 0 })
  })
})
