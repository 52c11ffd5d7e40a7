import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { WIRE_VERSION } from '../../domain/entry.ts'
import { shardOfJti } from '../../domain/shard.ts'
import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import type { Bench } from './bench-context.ts'
import { jtiOf } from './tokens.ts'

const SHARDS = 4
const LIFE_SECONDS = 3600
const PER_CHUNK = 500

/** Serves, in the form of the contract, the snapshot of a store in which `count` tokens have been revoked one by one. */
export async function serveSnapshot(bench: Bench, count: number): Promise<string> {
  const term = Date.now()
  const epoch = `${term}.b0b0`
  const seqs = Array.from({ length: SHARDS }, () => count)
  const common = (): object => ({
    v: WIRE_VERSION,
    tenant: DEFAULT_TENANT,
    at: Date.now(),
    epochs: seqs.map(() => epoch),
  })
  const tails = seqs.map((seq) => ({ epoch, seq }))
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/x-ndjson')
    if (request.url?.startsWith('/v1/snapshot') === true) {
      const ttl = [{ from: 0, seconds: LIFE_SECONDS }]
      const head = { ...common(), tails: { revocations: tails, expiries: tails }, maxTokenTtl: ttl }
      const text = `${JSON.stringify(head)}\n`
      send(response, rules(text, count, term, epoch))
    } else {
      const page = { ...common(), log: 'revocations', tails, more: false, entries: [] }
      response.end(JSON.stringify(page))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  bench.scope.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function send(response: ServerResponse, chunks: Generator<string>): void {
  // A view that goes away in the middle is no fault of this server.
  pipeline(Readable.from(chunks), response).catch(() => {})
}

function* rules(head: string, count: number, term: number, epoch: string): Generator<string> {
  const until = Math.floor(Date.now() / 1000) + LIFE_SECONDS + 60
  let text = head
  for (let i = 0; i < count; i++) {
    const jti = jtiOf(i)
    const shard = shardOfJti(jti, SHARDS)
    const seq = i + 1
    text += `{"shard":${shard},"epoch":"${epoch}","seq":${seq},"rule":{"match":{"jti":"${jti}"},"cutoffs":[{"id":"r${shard}-${term}-${seq}-0","issuedBefore":null}],"held":false,"until":${until},"reason":"logout"}}\n`
    if (seq % PER_CHUNK !== 0) continue
    yield text
    text = ''
  }
  yield `${text}${JSON.stringify({ end: true, count })}\n`
}
