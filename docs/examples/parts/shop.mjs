import { once } from 'node:events'
import { createServer } from 'node:http'
import { knell } from 'knell/express'
import { connect } from 'knell/subscriber'

const { AMQP_URL, KNELL_URL = 'http://127.0.0.1:7070', KNELL_API_KEY, NAMESPACE } = process.env
export const ISSUER = process.env.ISSUER ?? 'https://login.example'

/** A protected service: no request is answered without a live token, and none makes a call to find out. */
export async function openShop() {
  const subscriber = await connect({
    service: 'shop',
    amqp: AMQP_URL,
    pull: [KNELL_URL],
    apiKey: KNELL_API_KEY,
    ...(NAMESPACE && { namespace: NAMESPACE }),
    verify: { jwksUri: `${KNELL_URL}/.well-known/jwks.json`, issuer: ISSUER, audience: 'shop' },
  })
  // In earnest the client is not told why; here we want to see it.
  const guard = knell({ subscriber, exposeReason: true })
  const server = createServer((request, response) => {
    guard(request, response, () => {
      const mayPass = request.url !== '/admin' || request.auth.role === 'admin'
      response.statusCode = mayPass ? 200 : 403
      response.end(JSON.stringify({ code: mayPass ? 'welcome' : 'wrong_role' }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}`
  return {
    /** What a client sees: `200 welcome`, `401 revoked (logout)`, … */
    async ask(accessToken, path = '/') {
      const headers = { authorization: `Bearer ${accessToken}`, connection: 'close' }
      const response = await fetch(url + path, { headers })
      const { code, reason } = await response.json()
      return `${response.status} ${code}${reason ? ` (${reason})` : ''}`
    },

    /** Resolves when the shop has heard of such an event; to be called before what brings it about. */
    hears(kind, isIt) {
      return new Promise((resolve) => {
        const listen = ({ match }) => {
          if (!isIt(match)) return
          subscriber.off(kind, listen)
          resolve()
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
