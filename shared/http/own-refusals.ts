import type { Server } from 'node:http'

/** What Node itself refuses has no code, so whoever serves with this refuses it, or lets it be. */
export const OWN_REFUSALS = { requireHostHeader: false }

/**
 * Node's own answer to an expectation that it does not know has no code; one may go unmet
 * (RFC 9110, section 10.1.1).
 */
export function ignoreExpectations(server: Server): void {
  server.on('checkExpectation', (request, response) => {
    server.emit('request', request, response)
  })
}
