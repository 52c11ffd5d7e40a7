import { expect } from 'chai'
import { startRabbit, type PrivateRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, dies, now, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

/** What RabbitMQ grants, and how large its frames are, while revocations go on. */
describe('RabbitMQ’s rights and limits', function () {
  this.timeout(120_000)
  let rabbit: PrivateRabbit
  let system: TestSystem
  let witness: Witness

  before(async () => {
    rabbit = await startRabbit({ config: ['frame_max = 8192'] })
    await grant()
  })
  after(() => rabbit.stop())

  afterEach(() => system.stop())

  const url = (password = 'secret', vhost = ''): string =>
    `amqp://knell:${password}@127.0.0.1:${rabbit.port}${vhost}`

  async function grant(): Promise<void> {
    await rabbit.control('add_user', 'knell', 'secret').catch(() => {})
    await rabbit.control('set_permissions', 'knell', '.*', '.*', '.*')
  }

  function begin(amqp = url()): void {
    system = createSystem({ AMQP_URL: amqp })
    witness = createWitness(system)
  }

  async function broker(process: { readonly url: string }): Promise<Record<string, unknown>> {
    const { body } = await call(process, system.apiKey, '/readyz')
    return body['broker'] as Record<string, unknown>
  }

  for (const [what, take] of [
    [
      'permissions are cleared',
      async () => {
        await rabbit.control('clear_permissions', 'knell')
        await rabbit.control('close_all_connections', 'cleared')
      },
    ],
    ['user is deleted', async () => void (await rabbit.control('delete_user', 'knell'))],
  ] as const) {
    it(`let nobody in whose ${what}, who goes on by the store and comes back with the right`, async () => {
      begin()
      const notifier = await system.start('notifier')
      const view = await system.subscribe()
      await eventually(() => view.stats.push === 'up')
      await take()
      try {
        await eventually(() => view.stats.push === 'down', { timeoutMs: 20_000 })
        for (let i = 0; i < 10; i++) await witness.revoke(notifier, { sub: `cut-${i}` })
        await dies(view, { sub: 'cut-9' })
        // At first it may only know that the connection was lost.
        const told = /refuses access|user may not|no such virtual host, or/
        await eventually(async () => told.test(String((await broker(notifier))['problem'])))
        expect(await broker(notifier)).to.include({ ok: false })
      } finally {
        await grant()
      }
      const timeoutMs = 30_000
      await eventually(() => view.stats.push === 'up', { timeoutMs, what: 'the push path' })
      await eventually(async () => (await broker(notifier))['ok'] === true, { timeoutMs })
      await witness.holds(notifier, [view])
    })
  }

  for (const [what, wrong, right] of [
    ['password', () => url('mistyped'), ['change_password', 'knell', 'mistyped']],
    ['vhost', () => url('secret', '/later'), ['add_vhost', 'later']],
  ] as const) {
    it(`are told of a wrong ${what} at the start, without secrets, and the process goes on once it fits`, async () => {
      begin(wrong())
      const notifier = await system.start('notifier')
      await eventually(async () => (await broker(notifier))['problem'] !== undefined)
      expect(await broker(notifier)).to.include({ ok: false })
      expect((await witness.revoke(notifier, { sub: 'early' }))?.status).to.equal(201)
      try {
        await rabbit.control(...right)
        if (what === 'vhost') {
          await rabbit.control('set_permissions', '-p', 'later', 'knell', '.*', '.*', '.*')
        }
        await eventually(async () => (await broker(notifier))['ok'] === true, { timeoutMs: 30_000 })
        const view = await system.subscribe()
        await eventually(() => view.stats.push === 'up')
        await witness.revoke(notifier, { sub: 'later' })
        await witness.holds(notifier, [view])
      } finally {
        if (what === 'password') await rabbit.control('change_password', 'knell', 'secret')
      }
      const said = notifier.output.join('\n')
      expect(said).not.to.include('mistyped').and.not.include('knell:secret')
    })
  }

  it('are kept where frames are small and entries large: none is refused, none is in pieces', async () => {
    begin()
    const notifier = await system.start('notifier')
    const view = await system.subscribe()
    await eventually(() => view.stats.push === 'up')
    const long = 'x'.repeat(240)
    await Promise.all(
      Array.from({ length: 500 }, (_, i) => witness.revoke(notifier, { sub: `${i}-${long}` })),
    )
    const told: string[] = []
    view.on('expired', ({ jti }) => told.push(jti))
    const jtis = Array.from({ length: 1000 }, (_, i) => `${i}-${long}`)
    await witness.register(notifier, jtis, now() + 4)
    await eventually(() => told.length === jtis.length, { timeoutMs: 30_000, what: 'expiries' })
    expect(view.stats).to.include({ push: 'up', invalid: 0 })
    await witness.holds(notifier, [view])
  })
})
