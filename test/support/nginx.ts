import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import { endAfterDeath } from './end-after-death.ts'
import { eventually } from './eventually.ts'
import { get } from './http-call.ts'

/** A real nginx with the files of docs/agent, in front of a service of the test's. */
export interface GuardedService {
  readonly url: string
  /** The headers of the requests that reached the service. */
  readonly reached: IncomingHttpHeaders[]
  stop(): Promise<void>
}

/** Only the addresses of the files are changed, and where nginx keeps its own files. */
export async function openNginx(nginx: string, agentUrl: string): Promise<GuardedService> {
  const folder = mkdtempSync(join(tmpdir(), 'knell-nginx-'))
  const reached: IncomingHttpHeaders[] = []
  const service = createServer(({ headers }, response) => {
    reached.push(headers)
    response.end('orders')
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  const port = await freePort()
  const from = join(checkout, 'docs/agent')
  const kept = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  const changes = {
    'server 127.0.0.1:7072': `server ${agentUrl.replace('http://', '')}`,
    'server 127.0.0.1:3000': `server 127.0.0.1:${(service.address() as AddressInfo).port}`,
    'listen 127.0.0.1:8080': `listen 127.0.0.1:${port}`,
    'http {': `http { access_log off; ${kept.join(' ')}`,
  }
  let config = readFileSync(join(from, 'nginx.conf'), 'utf8')
  for (const [theirs, ours] of Object.entries(changes)) {
    if (!config.includes(theirs)) throw new Error(`nginx.conf has no "${theirs}".`)
    config = config.replace(theirs, ours)
  }
  writeFileSync(join(folder, 'nginx.conf'), config)
  for (const file of ['knell_ask.conf', 'knell_proxy.conf']) {
    copyFileSync(join(from, file), join(folder, file))
  }
  // One process, so that it runs as whoever may use the socket, and ends with one signal.
  const main = 'daemon off; master_process off; pid nginx.pid;'
  const args = ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr', '-g', main]
  const child = spawn(nginx, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const forget = endAfterDeath(child)
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const closed = once(child, 'close')
  const url = `http://127.0.0.1:${port}`
  try {
    await eventually(
      async () => {
        if (child.exitCode !== null) return true
        return (await get(url)).status > 0
      },
      { what: 'nginx' },
    )
    if (child.exitCode !== null) throw new Error(`nginx ended: ${errors}`)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return {
    url,
    reached,
    async stop() {
      child.kill('SIGTERM')
      await closed
      forget()
      service.closeAllConnections()
      service.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
