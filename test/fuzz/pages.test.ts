import { expect } from 'chai'
import fc from 'fast-check'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isKnellError } from '../../shared/domain/errors.ts'
import { readLines } from '../../shared/domain/lines.ts'
import { readPinnedKeys } from '../../shared/signing/event-keys.ts'
import { EventVerifier } from '../../shared/signing/event-verifier.ts'
import { PullClient } from '../../shared/subscriber/pull-client.ts'
import { parseFeedPage } from '../../shared/subscriber/messages.ts'
import { readSignedSnapshot, readSnapshot } from '../../shared/subscriber/snapshot-reader.ts'
import { createJwksFetch } from '../../shared/tokens/fetch-jwks.ts'
import { createIssuer } from '../support/issuer.ts'
import * as corpus from '../support/fuzz/corpus.ts'
import { expectNoPollution } from '../support/fuzz/expectations.ts'
import { fuzzAsync } from '../support/fuzz/fuzz.ts'
import { mutated } from '../support/fuzz/mutator.ts'
import { signatures } from '../support/vectors.ts'

describe('answers that are pulled, fuzzed', function () {
  this.timeout(0)
  const verifier = new EventVerifier(readPinnedKeys(signatures.keys), signatures.namespace)
  let server: Server
  let url: URL
  let answer: { readonly body: Buffer; readonly headers: Readonly<Record<string, string>> }
  let client: PullClient

  before(async () => {
    server = createServer((_, response) => {
      response.writeHead(200, answer.headers).end(answer.body)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`)
    client = new PullClient([url], 'secret')
  })
  after(async () => {
    client.close()
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })

  /** Reads, or fails with an error that has a code or is of a broken line, and leaves nothing behind. */
  async function readOr(read: () => Promise<void>): Promise<void> {
    try {
      await read()
    } catch (error) {
      const isTooLong = error instanceof Error && error.message.includes('line of the snapshot')
      if (!isKnellError(error) && !isTooLong) throw error
    } finally {
      expectNoPollution()
    }
  }

  it('a page of the feed', async () => {
    const check = async (body: Buffer): Promise<void> => {
      answer = { body, headers: { 'content-type': 'application/json' } }
      await readOr(async () => {
        const value = await client.json({ path: '/v1/feed' })
        parseFeedPage(value, 'default', 'revocations')
      })
    }
    await fuzzAsync('a page of the feed', mutated(corpus.pages), check, {
      runs: 150,
      boundMs: 20_000,
    })
  })

  for (const kind of ['plain', 'signed'] as const) {
    it(`a ${kind} snapshot`, async () => {
      const check = async (body: Buffer): Promise<void> => {
        answer = { body, headers: { 'content-type': 'application/x-ndjson' } }
        await readOr(async () => {
          const lines = await client.open({ path: '/v1/snapshot' })
          const parts =
            kind === 'plain'
              ? readSnapshot(lines, 'default')
              : readSignedSnapshot(lines, verifier, { tenant: 'default', nonce: 'n' })
          for await (const { lines: rules } of parts) {
            // Nothing that was altered is handed on as signed.
            if (kind === 'signed') expect(rules).to.deep.equal([])
          }
        })
      }
      await fuzzAsync(`a ${kind} snapshot`, mutated(corpus.snapshots), check, {
        runs: 150,
        boundMs: 20_000,
      })
    })
  }

  it('a set of keys that a provider publishes', async () => {
    const set = JSON.stringify(createIssuer().verify.keys)
    const fetchKeys = createJwksFetch(url, 5000)
    const caching = fc.constantFrom('max-age=5', 'max-age=99999999999', 'no-store', '"', '=,=;')
    const check = async ([body, cacheControl]: [Buffer, string]): Promise<void> => {
      answer = { body, headers: { 'cache-control': cacheControl, connection: 'close' } }
      await readOr(async () => {
        const { maxAgeMs } = await fetchKeys()
        expect(maxAgeMs ?? 0).to.be.at.least(0)
      })
    }
    const inputs = fc.tuple(mutated([set]), caching)
    await fuzzAsync('a set of keys', inputs, check, { runs: 150, boundMs: 20_000 })
  })
})

describe('lines that never end', function () {
  this.timeout(60_000)

  it('are read with the memory of one line and one piece', async () => {
    const piece = Buffer.alloc(65_536, 97)
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let sent = 0; sent < 256 * 2 ** 20; sent += piece.length) yield piece
      await Promise.resolve()
    }
    const before = process.memoryUsage().rss
    let most = 0
    let lines = 0
    for await (const { problem } of readLines(watched(), 262_144)) {
      expect(problem).to.equal('too long')
      lines += 1
    }
    async function* watched(): AsyncGenerator<Uint8Array> {
      for await (const bytes of endless()) {
        most = Math.max(most, process.memoryUsage().rss)
        yield bytes
      }
    }
    expect(lines).to.equal(1)
    expect(most - before).to.be.below(64 * 2 ** 20)
  })
})
