import { expect } from 'chai'
import { connect } from 'amqplib'
import { Redis } from 'ioredis'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { cleanGiven } from '../../shared/cli/engines/given.ts'
import { startRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { eventually } from '../support/eventually.ts'
import { keysOf, openRedis, written } from '../support/redis.ts'

const { AMQP_URL = '', REDIS_URL = '', NAMESPACE = '' } = process.env

/** A killed process stays in the table until its parent, which may be slow, has asked for its end. */
async function isGone(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

async function settingOf(client: Redis, name: string): Promise<unknown> {
  const pair: unknown = await client.config('GET', name)
  return Array.isArray(pair) ? pair[1] : undefined
}

describe('private redis', () => {
  let redis: PrivateEngine
  let client: Redis

  before(async () => {
    redis = await startRedis({ args: ['--maxmemory', '50mb'] })
    client = new Redis(redis.url, { retryStrategy: () => 50 })
    client.on('error', () => {})
  })

  after(async () => {
    client.disconnect()
    await redis.stop()
  })

  it('has the settings that Knell recommends, and those it is asked for', async () => {
    expect(await settingOf(client, 'appendonly')).to.equal('yes')
    expect(await settingOf(client, 'save')).to.equal('')
    expect(await settingOf(client, 'maxmemory-policy')).to.equal('noeviction')
    expect(await settingOf(client, 'hash-max-listpack-entries')).to.equal('500')
    expect(await settingOf(client, 'hash-max-listpack-value')).to.equal('128')
    expect(await settingOf(client, 'bind')).to.equal('127.0.0.1')
    expect(await settingOf(client, 'maxmemory')).to.equal(`${50 * 1024 * 1024}`)
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`keeps port and data through ${signal} and a new start`, async () => {
      await client.set('key', signal)
      await written(client)
      const first = redis.pid
      await redis.signal(signal)
      expect(redis.pid).to.equal(undefined)
      await redis.start()
      expect(redis.pid).to.be.a('number').and.not.equal(first)
      expect(await client.get('key')).to.equal(signal)
    })
  }

  it('answers nothing while it is frozen, and goes on afterwards', async () => {
    await redis.signal('SIGSTOP')
    let hasAnswered = false
    const answer = client.ping().then((text) => {
      hasAnswered = true
      return text
    })
    const other = await startRedis()
    await other.stop()
    expect(hasAnswered).to.equal(false)
    await redis.signal('SIGCONT')
    expect(await answer).to.equal('PONG')
  })

  it('can be ended while it is frozen', async () => {
    await redis.signal('SIGSTOP')
    await redis.signal('SIGTERM')
    expect(redis.pid).to.equal(undefined)
    await redis.start()
  })

  it('is stopped twice as well as once, and takes its folder with it', async () => {
    const other = await startRedis()
    expect(existsSync(other.dir)).to.equal(true)
    await other.stop()
    await other.stop()
    expect(existsSync(other.dir)).to.equal(false)
    expect(await isGone(other.port)).to.equal(true)
    const again: unknown = await other.start().catch((error: unknown) => error)
    expect(again).to.be.an('error')
  })

  it('says what went wrong when it cannot start', async () => {
    const problem: unknown = await startRedis({ args: ['--no-such-setting', '1'] }).catch(
      (error: unknown) => error,
    )
    expect(problem).to.be.an('error').with.property('message').that.includes('no-such-setting')
  })

  it('is gone, with its folder, after its owner has been killed', async () => {
    const module = new URL('../../shared/cli/engines/private-redis.js', import.meta.url).href
    const owner = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { startRedis } from '${module}'
         const { port, dir } = await startRedis()
         console.log(JSON.stringify({ port, dir }))
         setInterval(() => {}, 1000)`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [line] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string]
    const { port, dir } = JSON.parse(line) as { port: number; dir: string }
    expect(existsSync(dir)).to.equal(true)
    expect(await isGone(port)).to.equal(false)
    owner.kill('SIGKILL')
    await eventually(() => isGone(port), { what: 'Redis to be gone' })
    await eventually(() => !existsSync(dir), { what: 'the folder to be gone' })
  })
})

describe('private rabbitmq', () => {
  it('keeps port and data through SIGTERM and a new start, and leaves nothing behind', async function () {
    this.timeout(90_000)
    const rabbit = await startRabbit()
    try {
      const before = await connect(rabbit.url)
      before.on('error', () => {})
      const channel = await before.createConfirmChannel()
      channel.on('error', () => {})
      await channel.assertQueue('kept', { durable: true })
      channel.sendToQueue('kept', Buffer.from('message'), { persistent: true })
      await channel.waitForConfirms()
      // Not SIGKILL: RabbitMQ writes the declaration of a queue up to two seconds late.
      await rabbit.signal('SIGTERM')
      expect(rabbit.pid).to.equal(undefined)
      await rabbit.start()
      const after = await connect(rabbit.url)
      after.on('error', () => {})
      const found = await (await after.createChannel()).get('kept', { noAck: true })
      expect(found && found.content.toString()).to.equal('message')
      await after.close()
    } finally {
      await rabbit.stop()
    }
    expect(existsSync(rabbit.dir)).to.equal(false)
    expect(await isGone(rabbit.port)).to.equal(true)
  })
})

describe('given engines', () => {
  it('lose every name of the namespace and no other', async () => {
    const mine = `${NAMESPACE}-mine`
    const theirs = `${NAMESPACE}-mine2`
    const redis = openRedis(REDIS_URL)
    const model = await connect(AMQP_URL)
    const channel = await model.createChannel()
    const exists = async (kind: 'checkExchange' | 'checkQueue', name: string): Promise<boolean> => {
      const one = await model.createChannel()
      one.on('error', () => {})
      try {
        await one[kind](name)
        await one.close()
        return true
      } catch {
        return false
      }
    }
    try {
      for (const namespace of [mine, theirs]) {
        const many = Array.from({ length: 1_500 }, (_, index) => `${namespace}:k:${index}`)
        await Promise.all(many.map((key) => redis.set(key, '1')))
        await redis.set(`{${namespace}}:jobs:1`, '1')
        await redis.hset(`${namespace}:{default.0}:instances`, 'billing i-1', '{}')
        await channel.assertExchange(`${namespace}.revocations`, 'topic')
        for (const service of ['billing', 'named']) {
          await channel.assertQueue(`${namespace}.service.${service}`)
          await channel.assertQueue(`${namespace}.service.${service}.retry.1`)
          await channel.assertQueue(`${namespace}.service.${service}.dead`)
        }
      }
      const given = { amqpUrl: AMQP_URL, redisUrl: REDIS_URL, services: ['named'] }
      await cleanGiven({ ...given, namespace: mine })
      // What is gone already does not matter.
      await cleanGiven({ ...given, namespace: mine })
      expect(await keysOf(redis, `*${mine}[:}]*`)).to.deep.equal([])
      expect(await keysOf(redis, `*${theirs}[:}]*`)).to.have.length(1_502)
      const names = ['billing', 'named'].flatMap((name) => [
        name,
        `${name}.retry.1`,
        `${name}.dead`,
      ])
      for (const name of names) {
        expect(await exists('checkQueue', `${mine}.service.${name}`), name).to.equal(false)
        expect(await exists('checkQueue', `${theirs}.service.${name}`), name).to.equal(true)
      }
      expect(await exists('checkExchange', `${mine}.revocations`)).to.equal(false)
      expect(await exists('checkExchange', `${theirs}.revocations`)).to.equal(true)
      await cleanGiven({ ...given, namespace: theirs })
    } finally {
      redis.disconnect()
      await model.close()
    }
  })
})
