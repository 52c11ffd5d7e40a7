import { freePort } from '../../shared/cli/engines/free-port.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import type { Certificate } from './certificates.ts'

/** An engine that also listens on a port where it speaks TLS, and only with clients that show a certificate. */
export interface TlsEngine {
  readonly engine: PrivateEngine
  readonly tlsPort: number
}

/** RabbitMQ with the lines that docs/security.md gives. */
export async function startTlsRabbit(server: Certificate, ca: Certificate): Promise<TlsEngine> {
  const tlsPort = await freePort()
  const engine = await startRabbit({
    config: [
      `listeners.ssl.default = 127.0.0.1:${tlsPort}`,
      `ssl_options.cacertfile = ${ca.certFile}`,
      `ssl_options.certfile = ${server.certFile}`,
      `ssl_options.keyfile = ${server.keyFile}`,
      'ssl_options.verify = verify_peer',
      'ssl_options.fail_if_no_peer_cert = true',
    ],
  })
  return { engine, tlsPort }
}

/** Redis with the settings that docs/security.md gives. */
export async function startTlsRedis(server: Certificate, ca: Certificate): Promise<TlsEngine> {
  const tlsPort = await freePort()
  const settings = {
    '--tls-port': `${tlsPort}`,
    '--tls-cert-file': server.certFile,
    '--tls-key-file': server.keyFile,
    '--tls-ca-cert-file': ca.certFile,
    '--tls-auth-clients': 'yes',
  }
  const engine = await startRedis({ args: Object.entries(settings).flat() })
  return { engine, tlsPort }
}
