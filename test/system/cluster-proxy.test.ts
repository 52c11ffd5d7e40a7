import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, dies, type TestSystem } from '../support/system.ts'
import { needTool } from '../support/tools.ts'

/** The proxy of docker-compose.yml, with the addresses of this machine. */
describe('nginx before two notifiers and two pollers, as docker-compose.yml has it', function () {
  this.timeout(60_000)
  let nginx: string
  let folder: string
  let system: TestSystem
  let proxy: ChildProcess | undefined
  let notifiers: KnellProcess[]
  let pollers: KnellProcess[]
  const urls = { notifiers: '', pollers: '' }
  before(async function () {
    nginx = await needTool(this, 'nginx')
    this.timeout(60_000)
    folder = mkdtempSync(join(tmpdir(), 'knell-nginx-'))
    system = createSystem()
    notifiers = await Promise.all([system.start('notifier'), system.start('notifier')])
    pollers = await Promise.all([system.start('poller'), system.start('poller')])
    const ports = [await freePort(), await freePort()] as const
    let config = readFileSync(join(checkout, 'docs/deploy/compose/nginx.conf'), 'utf8')
    const put = (text: string, by: string): void => {
      expect(config).to.include(text)
      config = config.replace(text, by)
    }
    for (const [index, { port }] of notifiers.entries()) {
      put(`notifier-${index + 1}:7070`, `127.0.0.1:${port}`)
    }
    for (const [index, { port }] of pollers.entries()) {
      put(`poller-${index + 1}:7071`, `127.0.0.1:${port}`)
    }
    put('listen 7080', `listen 127.0.0.1:${ports[0]}`)
    put('listen 7081', `listen 127.0.0.1:${ports[1]}`)
    // What the image has at its places, and no user of this machine may write to.
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${folder}/${name};`)
      .join(' ')
    put('http {', `http { access_log off; ${temporary}`)
    writeFileSync(join(folder, 'nginx.conf'), `pid ${folder}/pid;\ndaemon off;\n${config}`)
    proxy = spawn(nginx, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'error.log'], {
      stdio: 'ignore',
    })
    urls.notifiers = `http://127.0.0.1:${ports[0]}`
    urls.pollers = `http://127.0.0.1:${ports[1]}`
    for (const url of [urls.notifiers, urls.pollers]) {
      await eventually(async () => (await call({ url }, system.apiKey, '/livez')).status === 200)
    }
  })
  after(async () => {
    await system?.stop()
    if (proxy?.exitCode === null) {
      const exited = once(proxy, 'exit')
      proxy.kill('SIGTERM')
      await exited
    }
    if (folder) rmSync(folder, { recursive: true })
  })

  it('goes on when one of each is gone', async () => {
    const revoke = (sub: string) =>
      call({ url: urls.notifiers }, system.apiKey, '/v1/revocations', { match: { sub } })
    // It pulls through the proxy: a snapshot that is streamed, and long polls.
    const service = await system.subscribe({ pull: [urls.pollers, urls.notifiers] })
    const first = await revoke('before')
    expect(first.status).to.equal(201)
    await dies(service, { sub: 'before' })
    await Promise.all([notifiers[0]?.kill(), pollers[0]?.kill()])
    for (let i = 0; i < 20; i++) expect((await revoke(`after-${i}`)).status, `${i}`).to.equal(201)
    await dies(service, { sub: 'after-19' })
    const late = await system.subscribe({ service: 'late', pull: [urls.pollers] })
    await dies(late, { sub: 'after-19' })
  })
})
