import { once } from 'node:events'
import { createServer } from 'node:http'
import { knell } from 'knell/express'
import { connect } from 'knell/subscriber'

const { AMQP_URL, KNELL_URL = 'http://127.0.0.1:7070', KNELL_API_KEY, NAMESPACE } = process.env

/** A protected service: no request is answered without a live token, and none makes a call to find out. */
export async function openShop(loginService) {
  const subscriber = await connect({
    service: 'shop',
    amqp: AMQP_URL,
    pull: [KNELL_URL],
    apiKey: KNELL_API_KEY,
    ...(NAMESPACE && { namespace: NAMESPACE }),
    verify: loginService.verify,
  })
  // In earnest the client is not told why; here we want to see it.
  const guard = knell({ subscriber, exposeReason: true })
  const server = createServer((request, response) => {
    guard(request, response, () => {
      const mayPass = request.url !== '/admin' || request.auth.roles.includes('admin')
      response.statusCode = mayPass ? 200 : 403
      response.end(JSON.stringify({ code: mayPass ? 'welcome' : 'wrong_role' }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}`
  return {
    subscriber,

    /** What a client sees: `200 welcome`, `401 revoked (logout)`, … */
    async ask(token, path = '/') {
      const headers = { authorization: `Bearer ${token}`, connection: 'close' }
      const response = await fetch(url + path, { headers })
      const { code, reason } = await response.json()
      return `${response.status} ${code}${reason ? ` (${reason})` : ''}`
    },

    /** Resolves when the shop has heard of such an event; call it before what brings the event about. */
    async hears(kind, isIt) {
      return new Promise((resolve) => {
        const listen = (event) => {
          if (!isIt(event.match)) return
          subscriber.off(kind, listen)
          resolve(event)
        }
        subscriber.on(kind, listen)
      })
    },

    async close() {
      server.close()
      await subscriber.close()
    },
  }
}
