import { Queue } from 'bullmq'
import { expect } from 'chai'
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { checkout, compiled } from '../../shared/cli/checkout.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createBullRedis } from '../../shared/store/redis.ts'
import { eventually } from '../support/eventually.ts'
import { bearer, get, openCall, textOf } from '../support/http-call.ts'
import { createIssuer } from '../support/issuer.ts'
import { exampleIn } from '../support/example-in.ts'
import { call, createSystem, oldToken, type TestSystem } from '../support/system.ts'

/** A decorator is no JavaScript yet, so this example is compiled as its reader would compile it. */
const TSC = [
  '--ignoreConfig',
  '--experimentalDecorators',
  '--emitDecoratorMetadata',
  '--skipLibCheck',
  '--strict',
]

describe('the framework examples of docs/subscriber.md', function () {
  this.timeout(120_000)
  // Inside the package, so that its own name resolves as it does for whoever has installed it.
  const folder = join(compiled, 'readme-frameworks')
  const issuer = createIssuer()
  let system: TestSystem
  let notifier: KnellProcess
  let child: ChildProcess | undefined
  let url: string

  before(async () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const name of [
      'subscriber.js',
      'express.js',
      'fastify.js',
      'nest.ts',
      'bullmq.js',
      'handlers.js',
    ])
      writeFileSync(join(folder, name), exampleIn(name))
    system = createSystem()
    notifier = await system.start('notifier')
  })
  afterEach(async () => {
    const closed = child && once(child, 'close')
    child?.kill('SIGKILL')
    await closed
    child = undefined
  })
  after(async () => {
    await system.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function run(file: string, onLine?: (line: string) => void): Promise<void> {
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    child = spawn(process.execPath, [join(folder, file)], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        AMQP_URL: system.env['AMQP_URL'],
        REDIS_URL: system.env['REDIS_URL'],
        KNELL_URL: notifier.url,
        KNELL_API_KEY: system.apiKey,
        NAMESPACE: system.namespace,
        JWKS: JSON.stringify(issuer.verify.keys),
        ISSUER: issuer.verify.issuer,
        PORT: String(port),
      },
      stdio: ['ignore', onLine === undefined ? 'inherit' : 'pipe', 'inherit'],
    })
    if (child.stdout && onLine) createInterface({ input: child.stdout }).on('line', onLine)
    await Promise.resolve()
  }

  async function revoke(sub: string): Promise<void> {
    const done = await call(notifier, system.apiKey, '/v1/revocations', { match: { sub } })
    expect(done.status).to.equal(201)
  }

  /** `/me` and `/prices` for a good token, for none, and for one that dies. */
  async function expectGuarded(sub: string): Promise<void> {
    const token = issuer.token(sub)
    await eventually(async () => (await get(`${url}/me`)).status === 401, {
      timeoutMs: 30_000,
      what: 'the example to listen',
    })
    expect((await get(`${url}/me`, bearer(token))).body).to.include({ sub })
    expect((await get(`${url}/prices`, bearer(token))).body).to.deep.equal({ for: sub })
    expect((await get(`${url}/prices`)).status).to.equal(401)
    await revoke(sub)
    await eventually(async () => (await get(`${url}/me`, bearer(token))).status === 401)
    expect((await get(`${url}/prices`, bearer(token))).status).to.equal(401)
  }

  it('run: Express, with a stream that ends', async () => {
    await run('express.js')
    await expectGuarded('alice')
    const stream = textOf(await openCall(`${url}/events`, bearer(issuer.token('bob'))))
    await revoke('bob')
    expect(await stream).to.contain('event: token-dead')
  })

  it('run: Fastify', async () => {
    await run('fastify.js')
    await expectGuarded('carol')
    expect((await get(`${url}/health`)).text).to.equal('ok')
  })

  it('run: NestJS', async () => {
    const tsc = join(checkout, 'node_modules/typescript/bin/tsc')
    const options = ['--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--allowJs']
    const files = ['--rootDir', folder, '--outDir', join(folder, 'out'), join(folder, 'nest.ts')]
    await promisify(execFile)(process.execPath, [tsc, ...TSC, ...options, ...files]).catch(
      ({ stdout }: { stdout: string }) => expect.fail(stdout),
    )
    await run('out/nest.js')
    await expectGuarded('dora')
    expect((await get(`${url}/health`)).text).to.equal('ok')
  })

  it('run: a handler', async () => {
    const lines: string[] = []
    await run('handlers.js', (line) => lines.push(line))
    await eventually(() => lines.includes('handling'), { timeoutMs: 30_000 })
    await revoke('gina')
    await eventually(() => lines.some((line) => line.startsWith('closing the sessions of')), {
      timeoutMs: 15_000,
    })
    expect(lines.at(-1)).to.match(/^closing the sessions of gina \S+$/)
  })

  it('run: BullMQ, with a job that is stopped', async () => {
    const redis = createBullRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    const queue = new Queue<{ url: string; claims: object }>('reports', { connection: redis })
    // Answers one path only, so that a job for another one runs until it is stopped.
    const server = createServer((incoming, response) => {
      if (incoming.url === '/quick') response.setHeader('connection', 'close').end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      await run('bullmq.js')
      const claims = (sub: string): object => ({ ...oldToken(), sub })
      const quick = await queue.add('job', { url: `${target}/quick`, claims: claims('erin') })
      await eventually(() => quick.isCompleted(), { timeoutMs: 30_000 })
      const slow = await queue.add('job', { url: `${target}/slow`, claims: claims('fred') })
      await eventually(() => slow.isActive())
      await revoke('fred')
      await eventually(() => slow.isFailed())
      const failed = await queue.getJob(String(slow.id))
      expect(failed?.failedReason).to.equal("The job's token was refused: revoked (other)")
    } finally {
      server.close()
      server.closeAllConnections()
      await queue.obliterate({ force: true })
      await queue.close()
      redis.disconnect()
    }
  })
})
