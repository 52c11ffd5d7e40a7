import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { createFuzzedSystem, type FuzzedSystem } from '../support/fuzz/fuzzed-system.ts'
import { requestsOf } from '../support/fuzz/http-inputs.ts'
import { toBytes, type RawRequest } from '../support/fuzz/raw-http.ts'
import { operations } from '../support/openapi.ts'

const MIB = 2 ** 20
/** What a body may cost a process, whatever its length: its own pieces, and what is not collected yet. */
const MAX_GROWTH = 96 * MIB
const SENT = 192 * MIB

/** Resident memory of a process, in bytes; undefined where the system does not tell. */
function residentOf({ pid }: KnellProcess): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1]) * 1024
  } catch {
    return undefined
  }
}

describe('bodies that do not come as they should', function () {
  this.timeout(240_000)
  let system: FuzzedSystem
  let notifier: KnellProcess
  let watcher: Subscriber

  before(async () => {
    system = createFuzzedSystem()
    notifier = await system.start('notifier')
    watcher = await system.follow()
  })
  after(() => system?.stop())

  const withBodies = (): { call: string; request: RawRequest }[] =>
    [...operations].flatMap(([call, operation]) =>
      operation['x-served-by'].includes('notifier')
        ? requestsOf(call, system.samples[call] ?? [], system.apiKey)
            .filter(({ body }) => body !== undefined)
            .map((request) => ({ call, request }))
        : [],
    )

  function open(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: notifier.port }, () => resolve(socket))
      socket.on('error', reject)
    })
  }

  it('may break off anywhere, in every call that takes one', async () => {
    await Promise.all(
      withBodies().flatMap(({ request }) => {
        const bytes = toBytes(request)
        return [0.3, 0.7, 0.99].map(async (share) => {
          const socket = await open()
          socket.on('error', () => {})
          await new Promise((resolve) => {
            socket.write(bytes.subarray(0, Math.floor(bytes.length * share)), resolve)
          })
          if (share > 0.5) socket.resetAndDestroy()
          else socket.destroy()
        })
      }),
    )
    await system.expectAlive([notifier], watcher)
  })

  it('may come a byte at a time while others are served', async () => {
    const slow = await Promise.all(
      withBodies().map(async ({ request }) => {
        const socket = await open()
        socket.on('error', () => {})
        const bytes = toBytes(request)
        const half = Math.floor(bytes.length / 2)
        socket.write(bytes.subarray(0, half))
        return { socket, bytes, at: half }
      }),
    )
    for (const one of slow) one.socket.write(one.bytes.subarray(one.at, one.at + 1))
    await system.expectAlive([notifier], watcher)
    for (const { socket } of slow) socket.destroy()
  })

  const endless: readonly { what: string; call: string; type: string; piece: Buffer }[] = [
    {
      what: 'a line of NDJSON',
      call: 'POST /v1/tokens',
      type: 'application/x-ndjson',
      piece: Buffer.alloc(65_536, 97),
    },
    {
      what: 'lines of NDJSON',
      call: 'POST /v1/tokens',
      type: 'application/x-ndjson',
      piece: Buffer.from(`${'{"claims":{}}'.padEnd(2000)}\n`.repeat(30)),
    },
    {
      what: 'a text of JSON',
      call: 'POST /v1/revocations',
      type: 'application/json',
      piece: Buffer.alloc(65_536, 32),
    },
    {
      what: 'a form',
      call: 'POST /oauth/token',
      type: 'application/x-www-form-urlencoded',
      piece: Buffer.alloc(65_536, 97),
    },
    {
      what: 'a body of an unknown type',
      call: 'POST /v1/check',
      type: 'application/x-unknown',
      piece: Buffer.alloc(65_536, 0),
    },
  ]
  for (const { what, call, type, piece } of endless) {
    it(`may have no end: ${what} costs no memory that grows with it`, async () => {
      const [method = '', path = ''] = call.split(' ')
      const before = residentOf(notifier)
      const socket = await open()
      const state = { isCut: false }
      socket.on('error', () => (state.isCut = true))
      socket.on('close', () => (state.isCut = true))
      socket.resume()
      socket.write(
        `${method} ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${system.apiKey}\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`,
      )
      const head = Buffer.from(`${piece.length.toString(16)}\r\n`)
      const chunk = Buffer.concat([head, piece, Buffer.from('\r\n')])
      let most = 0
      const end = performance.now() + 6_000
      for (
        let sent = 0;
        sent < SENT && !state.isCut && performance.now() < end;
        sent += piece.length
      ) {
        if (!socket.write(chunk)) {
          await new Promise<void>((resolve) => {
            const next = (): void => {
              socket.off('drain', next)
              socket.off('close', next)
              resolve()
            }
            socket.on('drain', next)
            socket.on('close', next)
          })
        }
        if (sent % (8 * MIB) < piece.length) most = Math.max(most, residentOf(notifier) ?? 0)
      }
      socket.destroy()
      if (before !== undefined) expect(most - before).to.be.below(MAX_GROWTH)
      await system.expectAlive([notifier], watcher)
    })
  }
})
