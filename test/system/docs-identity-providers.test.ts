import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { compiled } from '../../shared/cli/checkout.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { exampleIn } from '../support/example-in.ts'
import { bearer, get } from '../support/http-call.ts'
import { Provider } from '../support/provider.ts'
import { call, createSystem, now, type TestSystem } from '../support/system.ts'

const SECRET = 'the secret of the webhook'

describe('the programs of docs/identity-providers.md', function () {
  this.timeout(60_000)
  // Inside the package, so that its own name resolves as it does for whoever has installed it.
  const folder = join(compiled, 'docs-identity-providers')
  let provider: Provider
  let system: TestSystem
  let notifier: KnellProcess
  let children: ChildProcess[] = []

  before(async () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const name of ['provider-service.js', 'provider-webhook.js']) {
      writeFileSync(join(folder, name), exampleIn(name, 'docs/identity-providers.md'))
    }
    provider = await new Provider().open()
    system = createSystem({ ISSUER: provider.issuer, JWKS_URI: provider.jwksUri })
    notifier = await system.start('notifier')
  })
  afterEach(async () => {
    const closed = children.map((child) => once(child, 'close'))
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(closed)
    children = []
  })
  after(async () => {
    await system.stop()
    await provider.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function run(file: string): Promise<{ url: string; lines: string[] }> {
    const port = await freePort()
    const child = spawn(process.execPath, [join(folder, file)], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        AMQP_URL: system.env['AMQP_URL'],
        KNELL_URL: notifier.url,
        KNELL_API_KEY: system.apiKey,
        NAMESPACE: system.namespace,
        ISSUER: provider.issuer,
        JWKS_URI: provider.jwksUri,
        AUDIENCE: 'orders',
        WEBHOOK_SECRET: SECRET,
        PORT: String(port),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    const lines: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    await eventually(() => lines.includes('listening'), { timeoutMs: 30_000 })
    return { url: `http://127.0.0.1:${port}`, lines }
  }

  it('verify by the provider’s keys, a rotation included, and have tokens registered that were let in', async () => {
    const { url, lines } = await run('provider-service.js')
    const status = async (token: string): Promise<number> =>
      (await get(`${url}/me`, bearer(token))).status
    const token = provider.token('alice', { aud: 'orders' })
    expect((await get(`${url}/me`, bearer(token))).body).to.deep.equal({ sub: 'alice' })
    expect(await status(provider.token('alice', { aud: 'billing' }))).to.equal(401)
    provider.rotate('k2')
    const short = { aud: 'orders', jti: 'short', exp: now() + 3 }
    expect(await status(provider.token('bob', short))).to.equal(200)
    await eventually(() => lines.includes('expired short'), { what: 'the end of what was seen' })
    await call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'alice' } })
    await eventually(async () => (await status(token)) === 401)
  })

  it('make revocations of a webhook, and nothing of one that is not signed or names nobody', async () => {
    const { url } = await run('provider-webhook.js')
    const tell = async (event: object, secret = SECRET): Promise<number> => {
      const body = JSON.stringify(event)
      const signature = createHmac('sha256', secret).update(body).digest('hex')
      const headers = { 'x-signature': signature, connection: 'close' }
      return (await fetch(url, { method: 'POST', headers, body })).status
    }
    const rulesOf = async (): Promise<unknown[]> => {
      const { body } = await call(notifier, system.apiKey, '/v1/revocations')
      const rules = body['rules'] as { match: object; reason: string }[]
      return rules.map(({ match, reason }) => ({ ...match, reason }))
    }
    const before = await rulesOf()
    expect(await tell({ id: '1', type: 'user.suspended', user: 'mallory' }, 'x')).to.equal(401)
    expect(await tell({ id: '2', type: 'user.suspended' })).to.equal(400)
    expect(await tell({ id: '3', type: 'user.created', user: 'x' })).to.equal(204)
    expect(await rulesOf()).to.deep.equal(before)
    const events = [
      { id: '4', type: 'session.ended', session: 's-1' },
      { id: '5', type: 'user.suspended', user: 'carol' },
      { id: '6', type: 'user.password-changed', user: 'dave' },
      { id: '7', type: 'client.disabled', client: 'app' },
    ]
    for (const event of [...events, ...events]) expect(await tell(event)).to.equal(204)
    expect(await rulesOf()).to.include.deep.members([
      { sid: 's-1', reason: 'logout' },
      { sub: 'carol', reason: 'suspension' },
      { sub: 'dave', reason: 'password-change' },
      { client_id: 'app', reason: 'breach' },
    ])
  })
})
