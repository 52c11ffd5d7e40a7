import { DelayedError, Queue, Worker, type Job, type JobsOptions } from 'bullmq'
import { expect } from 'chai'
import { getEventListeners } from 'node:events'
import type { KnellProcess } from '../../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../../shared/config/redis-url.ts'
import { knellProcessor, type JobTokenOptions } from '../../../shared/frameworks/bullmq.ts'
import { createBullRedis } from '../../../shared/store/redis.ts'
import type { RedisClient } from '../../../shared/store/store.ts'
import { TokenDeath, type Claims, type Subscriber } from '../../../shared/subscriber/index.ts'
import { eventually } from '../../support/eventually.ts'
import { createIssuer } from '../../support/issuer.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../../support/system.ts'

interface Data {
  readonly claims?: Claims
  readonly token?: string
}

type Work = (job: Job<Data>, lockToken: string | undefined, signal: AbortSignal) => Promise<unknown>

describe('knell/bullmq', function () {
  this.timeout(60_000)
  const issuer = createIssuer()
  let system: TestSystem
  let notifier: KnellProcess
  let subscriber: Subscriber
  let redis: RedisClient[]
  let queue: Queue<Data>
  let worker: Worker<Data> | undefined

  beforeEach(async () => {
    system = createSystem({ BEAT: '300ms' })
    notifier = await system.start('notifier')
    subscriber = await system.subscribe({ verify: issuer.verify })
    redis = []
    queue = new Queue('jobs', { connection: connection(), prefix: `{${system.namespace}}` })
  })
  afterEach(async () => {
    await worker?.close(true)
    await queue.close()
    worker = undefined
    await system.stop()
    for (const client of redis) client.disconnect()
  })

  function connection(): RedisClient {
    const client = createBullRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    redis.push(client)
    return client
  }

  function work(
    processor: Work,
    options: JobTokenOptions<Job<Data>> = { claims: (job) => job.data.claims ?? {} },
    by: Subscriber = subscriber,
  ): Worker<Data> {
    worker = new Worker<Data>('jobs', knellProcessor(by, processor, options), {
      connection: connection(),
      prefix: `{${system.namespace}}`,
      drainDelay: 1,
    })
    return worker
  }

  const add = (data: Data, options: JobsOptions = { attempts: 3 }): Promise<Job<Data>> =>
    queue.add('job', data, options)

  async function inState(job: Job<Data>, state: string): Promise<Job<Data>> {
    await eventually(async () => (await job.getState()) === state, {
      what: `the job to be ${state}`,
    })
    return (await queue.getJob(String(job.id))) as Job<Data>
  }

  async function revoke(sub: string): Promise<void> {
    const body = { match: { sub }, reason: 'logout' }
    expect((await call(notifier, system.apiKey, '/v1/revocations', body)).status).to.equal(201)
  }

  const claimsOf = (sub: string): Claims => ({ ...oldToken(), sub })

  it('runs a job whose token is alive, and lets go of its signal', async () => {
    const claims = claimsOf('alice')
    let signal: AbortSignal | undefined
    work(async (job, lockToken, given) => {
      signal = given
      expect(lockToken).to.be.a('string')
      return Promise.resolve({ sub: job.data.claims?.['sub'] })
    })
    const done = await inState(await add({ claims }), 'completed')
    expect(done.returnvalue).to.deep.equal({ sub: 'alice' })
    expect(signal?.aborted).to.equal(false)
    expect(getEventListeners(subscriber.signal(claims), 'abort')).to.have.length(0)
  })

  it('never starts a job whose token is dead, and does not retry it', async () => {
    await revoke('bob')
    await dies(subscriber, { sub: 'bob' })
    let runs = 0
    work(async () => Promise.resolve((runs += 1)))
    const failed = await inState(await add({ claims: claimsOf('bob') }), 'failed')
    expect(failed.failedReason).to.equal("The job's token was refused: revoked (logout)")
    expect(failed.attemptsMade).to.equal(1)
    const expired = await add({ claims: { ...claimsOf('x'), exp: now() - 1 } })
    expect((await inState(expired, 'failed')).failedReason).to.contain('refused: expired')
    const none = await inState(await add({}), 'failed')
    expect(none.failedReason).to.contain('refused: exp_required')
    expect(runs).to.equal(0)
  })

  it('aborts a running job when its token is revoked, and does not retry it', async () => {
    const reasons: unknown[] = []
    work((_job, _lockToken, signal) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason)
          reject(new Error('stopped half-way'))
        })
      })
    })
    const job = await add({ claims: claimsOf('carol') })
    await inState(job, 'active')
    await revoke('carol')
    const failed = await inState(job, 'failed')
    expect(failed.failedReason).to.equal("The job's token was refused: revoked (logout)")
    expect(reasons).to.have.length(1)
    expect(reasons[0]).to.be.an.instanceOf(TokenDeath)
  })

  it('fails a job that ends well after its token has expired', async () => {
    work(async (_job, _lockToken, signal) => {
      await eventually(() => signal.aborted)
      return 'done all the same'
    })
    const job = await add({ claims: { ...claimsOf('dora'), exp: now() + 2 } })
    const failed = await inState(job, 'failed')
    expect(failed.failedReason).to.contain('refused: expired')
    expect(failed.returnvalue).to.equal(null)
  })

  it('verifies a token that the job carries', async () => {
    let runs = 0
    work(async () => Promise.resolve((runs += 1)), { token: (job) => job.data.token ?? '' })
    await inState(await add({ token: issuer.token('erin') }), 'completed')
    const forged = `${issuer.token('erin').slice(0, -8)}AAAAAAAA`
    const failed = await inState(await add({ token: forged }), 'failed')
    expect(failed.failedReason).to.contain('refused: token_signature_invalid')
    expect((await inState(await add({}), 'failed')).failedReason).to.contain('token_malformed')
    expect(runs).to.equal(1)
  })

  it('delays a job while the view is stale, without using up an attempt', async () => {
    const brittle = await system.subscribe({ maxStaleness: 1500 })
    const { port } = new URL(notifier.url)
    await notifier.kill()
    await eventually(() => brittle.check(oldToken()).code === 'stale')
    let runs = 0
    const options = { claims: (job: Job<Data>) => job.data.claims ?? {}, staleDelay: 300 }
    work(async () => Promise.resolve((runs += 1)), options, brittle)
    const job = await add({ claims: claimsOf('fred') }, { attempts: 1 })
    await inState(job, 'delayed')
    // It comes back, and is delayed again.
    const look = (): Promise<Job<Data> | undefined> => queue.getJob(String(job.id))
    await eventually(async () => ((await look())?.attemptsStarted ?? 0) > 2)
    expect((await look())?.attemptsMade).to.equal(0)
    expect(runs).to.equal(0)
    await system.start('notifier', { PORT: port })
    const done = await inState(job, 'completed')
    expect(done.attemptsMade).to.equal(1)
    expect(runs).to.equal(1)
  })

  it('never lets a job start before the view is ready', async () => {
    await notifier.kill()
    const unready = await system.subscribe({ waitReady: false })
    let runs = 0
    work(async () => Promise.resolve((runs += 1)), undefined, unready)
    await inState(await add({ claims: claimsOf('gina') }), 'delayed')
    expect(runs).to.equal(0)
  })

  it('leaves what BullMQ cancels to BullMQ', async () => {
    let runs = 0
    const cancelling = work((_job, _lockToken, signal) => {
      runs += 1
      if (runs === 2) return Promise.resolve('second time')
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error(String(signal.reason))))
      })
    })
    const job = await add({ claims: claimsOf('hans') }, { attempts: 2 })
    await eventually(() => runs === 1)
    expect(cancelling.cancelJob(String(job.id), 'by hand')).to.equal(true)
    expect((await inState(job, 'completed')).returnvalue).to.equal('second time')
  })

  it('leaves a job where its processor moved it, and looks at it again when it comes back', async () => {
    const problems: Error[] = []
    let runs = 0
    work(async (job, lockToken, signal) => {
      runs += 1
      await eventually(() => signal.aborted)
      await job.moveToDelayed(Date.now() + 200, lockToken)
      throw new DelayedError()
    }).on('error', (error) => problems.push(error))
    const job = await add({ claims: claimsOf('ida') })
    await inState(job, 'active')
    await revoke('ida')
    const failed = await inState(job, 'failed')
    expect(failed.failedReason).to.contain('refused: revoked')
    expect(runs).to.equal(1)
    expect(problems).to.deep.equal([])
  })

  it('retries a fault as BullMQ does', async () => {
    let looks = 0
    work(async () => Promise.resolve('x'), {
      claims: (job) => {
        looks += 1
        if (looks === 1) throw new Error('no claims to be found')
        return job.data.claims ?? {}
      },
    })
    const done = await inState(await add({ claims: claimsOf('jack') }), 'completed')
    expect(done.attemptsMade).to.equal(2)
  })

  it('tells everything wrong with its options at once', () => {
    const bad = { claims: 'x', token: () => '', header: 1, staleDelay: -1, stale: 1, tenant: '!' }
    const make = (options: unknown) => (): unknown =>
      knellProcessor(subscriber, async () => Promise.resolve(), options as never)
    for (const part of [
      'exactly one of claims and token',
      'claims must be a function',
      'header goes with claims',
      'staleDelay must be',
      'stale is not an option',
      'tenant must be',
    ]) {
      expect(make(bad)).to.throw(TypeError, part)
    }
    expect(make(undefined)).to.throw(TypeError, 'exactly one of')
    expect(make({ claims: () => ({}), whenStale: 'no' })).to.throw(TypeError, 'whenStale must be')
  })
})
