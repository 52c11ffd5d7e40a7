import { connect as connectAmqp, type ChannelModel } from 'amqplib'
import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { permissionsOf } from '../../shared/broker/permissions.ts'
import { serviceTopologyOf } from '../../shared/broker/service-topology.ts'
import { exchangesOf } from '../../shared/broker/topology.ts'
import { checkout, compiled } from '../../shared/cli/checkout.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { namesOf } from '../../shared/domain/names.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { definitionsArgument } from '../support/definitions.ts'
import { engineUrl, freshNamespace } from '../support/store.ts'

const run = promisify(execFile)
const namespace = freshNamespace()
const names = namesOf(namespace)
const services = ['--service', 'orders:revoked+expired', '--service', 'stock:held@shop+a_B-c']

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

describe('npm run topology', function () {
  this.timeout(60_000)
  let rabbit: PrivateEngine
  const models: ChannelModel[] = []

  async function topology(user: string | undefined, ...args: string[]): Promise<Ran> {
    const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'], NAMESPACE: namespace }
    if (user !== undefined) env['AMQP_URL'] = urlOf(user)
    const file = join(compiled, 'shared', 'cli', 'topology.js')
    try {
      const { stdout, stderr } = await run(process.execPath, [file, ...args], {
        cwd: checkout,
        env,
      })
      return { code: 0, out: stdout, err: stderr }
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
      return { code, out: stdout, err: stderr }
    }
  }

  function urlOf(user: string): string {
    const url = new URL(rabbit.url)
    url.username = user
    url.password = user
    return url.toString()
  }

  async function as(user: string): Promise<ChannelModel> {
    const model = await connectAmqp(urlOf(user))
    models.push(model)
    return model
  }

  /** Runs the printed commands of a program in a shell, and returns the words that each gets. */
  async function wordsOf(program: string, lines: string): Promise<string[][]> {
    const echo = `words() { printf '%s\\036' "$@"; printf '\\035'; }`
    const printed = lines.split('\n').filter((line) => line.startsWith(`${program} `))
    const ours = printed.map((line) => line.replace(program, 'words'))
    const { stdout } = await run('sh', ['-c', `${echo}\n${ours.join('\n')}`])
    return stdout
      .split('\u001d')
      .slice(0, -1)
      .map((line) => line.split('\u001e').slice(0, -1))
  }

  before(async () => {
    const file = join(compiled, 'shared', 'cli', 'topology.js')
    const { stdout } = await run(
      process.execPath,
      [file, 'permissions', '--json', '--service', 'orders', '--service', 'stock@shop+a_B-c'],
      { env: { PATH: process.env['PATH'], NAMESPACE: namespace } },
    )
    const printed = JSON.parse(stdout) as Record<string, object[]>
    const users = [
      `${namespace}.deploy`,
      namespace,
      `${namespace}.service.orders`,
      `${namespace}.service.stock`,
    ]
    rabbit = await startRabbit({ args: [await definitionsArgument([], { users, printed })] })
  })

  after(() => rabbit.stop())

  afterEach(async () => {
    await Promise.all(models.splice(0).map((model) => model.close()))
  })

  it('needs no more than the deploy user’s printed rights, and may be run again', async () => {
    const user = `${namespace}.deploy`
    const before = await topology(user, 'check', ...services)
    expect(before.code).to.equal(1)
    expect(before.err).to.include(`!!  exchange ${names.revocations}: missing. Run "apply".`)
    expect(before.err).to.include(`queue ${namespace}.service.orders.dead: missing`)
    const first = await topology(user, 'apply', ...services)
    expect(first).to.include({ code: 0, err: '' })
    expect(await topology(user, 'apply', ...services)).to.deep.equal(first)
    expect(await topology(user, 'check', ...services)).to.include({ code: 0, err: '' })
    const channel = await (await as('guest')).createChannel()
    for (const exchange of exchangesOf(names)) await channel.checkExchange(exchange)
    const binding = `${names.revocations} -> ${namespace}.service.stock (a_B-c.held)`
    expect(first.out).to.include(`ok  binding ${binding}\n`)
    channel.publish(names.revocations, 'a_B-c.held', Buffer.from('{}'), { mandatory: true })
    channel.publish(names.revocations, 'default.held', Buffer.from('{}'))
    channel.publish(names.retry, 'stock.resend', Buffer.from('{}'))
    const got = await channel.get(`${namespace}.service.stock`)
    expect(got && got.fields.routingKey).to.equal('a_B-c.held')
    const next = await channel.get(`${namespace}.service.stock`)
    expect(next && next.fields.routingKey, 'nothing of other tenants').to.equal('stock.resend')
  })

  it('names the queue and the argument that differ, and declares the rest all the same', async () => {
    const channel = await (await as('guest')).createChannel()
    const queue = `${namespace}.service.late.retry.2`
    await channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-message-ttl': 5 },
    })
    for (const action of ['apply', 'check']) {
      const { code, out, err } = await topology(
        `${namespace}.deploy`,
        action,
        '--service',
        'late:revoked',
      )
      expect(code).to.equal(1)
      const lines = err.trim().split('\n')
      expect(lines).to.have.length(1)
      expect(lines[0]).to.match(
        new RegExp(
          `^!!  queue ${queue}: it is there, but differs\\. .*'x-[a-z-]+'.*delete the queue`,
        ),
      )
      expect(out)
        .to.include(`ok  queue ${queue.replace(/2$/, '5')}`)
        .and.include('.late.dead')
    }
  })

  it('tells whoever may not declare', async () => {
    for (const user of [namespace, `${namespace}.service.orders`]) {
      const { code, err } = await topology(user, 'apply', '--service', 'sly:revoked')
      expect(code).to.equal(1)
      expect(err).to.include(`queue ${namespace}.service.sly: refused. Use the deploy user`)
    }
    const stranger = await topology('stranger', 'check')
    expect(stranger.code).to.equal(1)
    expect(stranger.err)
      .to.match(/Handshake terminated by server/)
      .and.not.include('    at ')
  })

  it('prints commands that say what the code grants, whatever a shell makes of quotes', async () => {
    const { code, out } = await topology(undefined, 'permissions', ...services)
    expect(code).to.equal(0)
    const words = await wordsOf('rabbitmqctl', out)
    const role = { role: 'service', service: 'stock', tenants: ['shop', 'a_B-c'] } as const
    const { permission, topics } = permissionsOf(names, role)
    const { configure, write, read } = permission
    const user = `${namespace}.service.stock`
    expect(words).to.deep.include(['set_permissions', '-p', '/', user, configure, write, read])
    for (const topic of topics) {
      const rights = [user, topic.exchange, topic.write, topic.read]
      expect(words).to.deep.include(['set_topic_permissions', '-p', '/', ...rights])
    }
    const policies = words.filter(([what]) => what === 'set_policy')
    const { queues } = serviceTopologyOf(names, 'stock', { tenants: [], kinds: [] })
    for (const { name } of queues) {
      const fits = policies.filter((policy) => new RegExp(String(policy[6])).test(name))
      expect(fits, name).to.have.length(1)
      expect(JSON.parse(String(fits[0]?.[7]))).to.have.keys('max-length-bytes')
    }
    const [acl = []] = await wordsOf('redis-cli', out)
    const admin = createRedis(parseRedisUrl(engineUrl('REDIS_URL')), () => {})
    try {
      const [command = '', ...rest] = acl
      const asPrinted = await admin.call(command, ...rest).catch(String)
      expect(asPrinted, 'the placeholder is no password').to.match(/Error/)
      const hash = rest.map((word) => (word.startsWith('#') ? `#${'0'.repeat(64)}` : word))
      expect(await admin.call(command, ...hash)).to.equal('OK')
    } finally {
      await admin.call('ACL', 'DELUSER', namespace)
      admin.disconnect()
    }
  })

  it('explains a command line or an environment that is wrong', async () => {
    const wrong: [string[], RegExp][] = [
      [[], /Name one thing/],
      [['destroy'], /Name one thing/],
      [['apply', '--force'], /--force/],
      [['apply', '--json'], /knows no --json/],
      [['apply', '--service', 'a.*'], /is no service/],
      [['apply', '--service', 'a:revokd'], /"revokd"/],
      [['apply', '--service', 'a@.*'], /A tenant of/],
      [['apply', '--service', 'a@_all'], /A tenant of/],
      [['apply', '--service', 'a@'], /names no tenant/],
      [['apply', '--service', 'a', '--service', 'a@t2'], /named twice/],
      [['apply'], /AMQP_URL is not set/],
    ]
    await Promise.all(
      wrong.map(async ([args, message]) => {
        const { code, err } = await topology(undefined, ...args)
        expect({ args, code }).to.deep.equal({ args, code: 2 })
        expect(err).to.match(message)
      }),
    )
  })
})
