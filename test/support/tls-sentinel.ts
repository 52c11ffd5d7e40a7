import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findRedis } from '../../shared/cli/engines/find-binaries.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import { openFolder, startOnFreePorts } from '../../shared/cli/engines/private-engine.ts'
import { redisAnswers } from '../../shared/cli/engines/private-redis.ts'
import type { Certificate } from './certificates.ts'
import type { TlsEngine } from './tls-engines.ts'

/** One Sentinel that watches a primary at `localhost`, and speaks TLS only with clients that show a certificate. */
export async function startTlsSentinel(
  primaryPort: number,
  server: Certificate,
  ca: Certificate,
): Promise<TlsEngine> {
  const tlsPort = await freePort()
  const engine = await startOnFreePorts(async () => {
    const port = await freePort()
    const dir = await openFolder('redis', undefined)
    const config = join(dir.path, 'sentinel.conf')
    const lines = [
      `dir ${dir.path}`,
      `port ${port}`,
      `tls-port ${tlsPort}`,
      `tls-cert-file ${server.certFile}`,
      `tls-key-file ${server.keyFile}`,
      `tls-ca-cert-file ${ca.certFile}`,
      'tls-auth-clients yes',
      'tls-replication yes',
      'sentinel resolve-hostnames yes',
      'sentinel announce-hostnames yes',
      `sentinel monitor knell localhost ${primaryPort} 1`,
    ]
    await writeFile(config, `${lines.join('\n')}\n`)
    const command = findRedis()
    if (command === undefined) throw new Error('No redis-server was found on this machine.')
    return {
      name: 'redis',
      url: `redis://127.0.0.1:${port}`,
      port,
      dir,
      command,
      args: [config, '--sentinel'],
      env: { PATH: process.env['PATH'], LANG: 'C.UTF-8' },
      answers: (pid) => redisAnswers(port, pid),
    }
  }, 1)
  return { engine, tlsPort }
}
