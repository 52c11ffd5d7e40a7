import http from 'node:http'
import https from 'node:https'

/**
 * Whether the process in this container is alive: exit code 0 or 1. It asks itself on loopback, by
 * HTTPS where that is served, so no certificate can name it and none is verified; nothing secret is sent.
 */
const { PORT = '7070', TLS_CERT } = process.env
const options = { host: '127.0.0.1', port: PORT, path: '/livez', timeout: 4000 }
const asked = TLS_CERT
  ? https.get({ ...options, rejectUnauthorized: false }, answered)
  : http.get(options, answered)
asked.on('timeout', () => asked.destroy(new Error('No answer in time.')))
asked.on('error', (error) => {
  console.error(error.message)
  process.exitCode = 1
})

function answered(response: http.IncomingMessage): void {
  response.resume()
  if (response.statusCode !== 200) process.exitCode = 1
}
