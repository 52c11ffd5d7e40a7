import type { EngineName } from './engines.ts'

/** What the packages of each engine are called where. */
export const aptPackages: Readonly<Record<EngineName, string>> = {
  rabbitmq: 'rabbitmq-server',
  redis: 'redis-server',
}
const brewPackages: Readonly<Record<EngineName, string>> = { rabbitmq: 'rabbitmq', redis: 'redis' }

/** The message for a machine on which the engines can be neither found nor got. */
export function whatToInstall(missing: readonly EngineName[]): string {
  const apt = missing.map((name) => aptPackages[name]).join(' ')
  const brew = missing.map((name) => brewPackages[name]).join(' ')
  const programs = missing.map((name) => aptPackages[name]).join(' and ')
  return `Knell needs RabbitMQ and Redis to run. Missing on this machine: ${programs}.
  Debian, Ubuntu:  sudo apt-get install ${apt}
  macOS:           brew install ${brew}
  elsewhere:       install Docker (with "docker compose") and start its daemon, or install
                   RabbitMQ 3.10 or newer (https://www.rabbitmq.com/docs/download) and
                   Redis 7 or newer (https://redis.io/docs/install), so that ${programs}
                   can be found on the PATH
Or name servers of your own: AMQP_URL=amqp://... REDIS_URL=redis://... (only names that begin with
a random prefix are touched, and they are removed at the end).
Private instances are started on free loopback ports; no running service is used or needed.`
}
