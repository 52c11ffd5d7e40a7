import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { createRedis } from '../../store/redis.ts'
import { openBarePublisher } from './bare.ts'
import { serve } from './serve.ts'

/**
 * The least that a notifier could be: Node's own HTTP server, one command of Redis that keeps the bytes, one
 * publish. It checks, numbers, notes and audits nothing, and answers when the message is on its way.
 */

export interface ChainOptions {
  readonly amqpUrl: string
  readonly redisUrl: string
  readonly exchange: string
  /** The stream that keeps the bytes. */
  readonly key: string
  readonly body: string
}

const methods = {
  async start({ amqpUrl, redisUrl, exchange, key, body }: ChainOptions): Promise<string> {
    const bare = await openBarePublisher(amqpUrl, exchange)
    const redis = createRedis(parseRedisUrl(redisUrl), () => {})
    const bytes = Buffer.from(body)
    const pass = async (request: IncomingMessage): Promise<void> => {
      const { match } = JSON.parse(await text(request)) as { match: { jti: string } }
      await redis.xadd(key, 'MAXLEN', '~', 10_000, '*', 'b', bytes)
      bare.publish('default.revoked', match.jti, bytes).catch(() => {})
    }
    const server = createServer((request, response) => {
      pass(request).then(
        () => response.writeHead(201, { 'content-type': 'application/json' }).end('{}'),
        (error: unknown) => response.writeHead(500).end(String(error)),
      )
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  },
}

export type ChainProgram = typeof methods

serve(methods)
