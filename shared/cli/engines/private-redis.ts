import { once } from 'node:events'
import { connect } from 'node:net'
import { findRedis } from './find-binaries.ts'
import { freePort } from './free-port.ts'
import { openFolder, startOnFreePorts, type PrivateEngine } from './private-engine.ts'

export interface RedisOptions {
  /** Keep the data here and leave it here; without it a temporary folder. */
  readonly dir?: string
  /** Further settings as on Redis's command line, such as `['--maxmemory', '10mb']`; they win over ours. */
  readonly args?: readonly string[]
  /** Without it a free one. */
  readonly port?: number
}

/** The settings that Knell recommends, so that what is tried here is what is run. */
const settings: Readonly<Record<string, string>> = {
  bind: '127.0.0.1',
  appendonly: 'yes',
  appendfsync: 'everysec',
  save: '',
  'maxmemory-policy': 'noeviction',
  'hash-max-listpack-entries': '500',
  'hash-max-listpack-value': '128',
}

/** Starts a Redis of our own on loopback. Resolves when it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<PrivateEngine> {
  const command = findRedis()
  if (command === undefined) throw new Error('No redis-server was found on this machine.')
  return startOnFreePorts(
    async () => {
      const port = options.port ?? (await freePort())
      const dir = await openFolder('redis', options.dir)
      return {
        name: 'redis',
        url: `redis://127.0.0.1:${port}`,
        port,
        dir,
        command,
        args: [...toArgs({ ...settings, port: `${port}`, dir: dir.path }), ...(options.args ?? [])],
        env: { PATH: process.env.PATH, LANG: 'C.UTF-8' },
        answers: (pid) => redisAnswers(port, pid),
      }
    },
    options.port === undefined ? 3 : 1,
  )
}

function toArgs(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, value])
}

/** Asks in Redis's inline form whether it has loaded its data, and which process it is. */
export async function redisAnswers(port: number, pid: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.setTimeout(1_000, () => socket.destroy())
  try {
    await once(socket, 'connect')
    socket.write('PING\r\nINFO server\r\n')
    let reply = ''
    for await (const chunk of socket) {
      reply += String(chunk)
      if (/^process_id:\d+\r$/m.test(reply)) break
    }
    return reply.startsWith('+PONG') && reply.includes(`\nprocess_id:${pid}\r`)
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
