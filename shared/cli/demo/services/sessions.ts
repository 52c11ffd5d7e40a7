import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { answerJson, bearerOf, openService } from './open-service.ts'

/** Holds a stream of server-sent events open for each user, and ends it when the user's token dies. */

const service = await openService('sessions')

async function open(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const result = await service.knell.verify(bearerOf(request))
  if (!result.active) {
    answerJson(response, 401, { code: result.code })
    return
  }
  const jti = String(result.claims?.['jti'])
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write('event: hello\ndata: {}\n\n')
  response.once('close', () => service.forget(jti))
  service.admit(result, (code) => response.end(`event: bye\ndata: ${JSON.stringify({ code })}\n\n`))
}

await service.begin({ server: createServer((request, response) => void open(request, response)) })
