import { parseJson } from '../../domain/entry.ts'
import { readLines } from '../../domain/lines.ts'
import { View } from '../../domain/view.ts'
import { connect, type Subscriber } from '../../subscriber/index.ts'
import { parseSnapshotHead, parseSnapshotLine } from '../../subscriber/messages.ts'
import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import { serve } from './serve.ts'
import { jtiOf } from './tokens.ts'

/** A consuming service with very many revocations in its view. It must not load ioredis, as no such service does. */

export interface ViewOptions {
  readonly amqpUrl: string
  readonly namespace: string
  /** Where the snapshot is served. */
  readonly url: string
}

export interface Booted {
  readonly rules: number
  readonly bootMs: number
  readonly packedBytes: number
  /** What the heap and all array buffers of the process have grown by. */
  readonly processBytes: number
}

let subscriber: Subscriber | undefined
/** The same rules once more, in a view that nobody keeps up to date. */
let judged: View | undefined
/** Kept so that the collector leaves it alone while it is weighed. */
let set: Set<string> | undefined

function memory(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Claims as they come out of a token: texts that nothing has looked at yet. */
function claimsOf(first: number, count: number): { jti: string }[] {
  const iat = Math.floor(Date.now() / 1000)
  const texts = Array.from({ length: count }, (_, i) =>
    JSON.stringify({
      iss: 'https://issuer',
      sub: 'alice',
      jti: jtiOf(first + i),
      iat,
      exp: iat + 600,
    }),
  )
  return JSON.parse(`[${texts.join(',')}]`) as { jti: string }[]
}

const methods = {
  async boot({ amqpUrl, namespace, url }: ViewOptions): Promise<Booted> {
    const before = memory()
    const started = performance.now()
    subscriber = await connect({
      service: 'bench',
      amqp: amqpUrl,
      namespace,
      pull: [url],
      apiKey: 'none',
      // The snapshot is all there is: nobody beats for a store that does not exist.
      maxStaleness: 3_600_000,
    })
    const bootMs = performance.now() - started
    const { rules, packedBytes } = subscriber.stats
    return { rules, bootMs, packedBytes, processBytes: memory() - before }
  },

  /** ns per check of so many tokens, all of which must be found as told. */
  check(first: number, count: number, code: 'active' | 'revoked'): number {
    if (subscriber === undefined) throw new Error('There is no view.')
    const tokens = claimsOf(first, count)
    // What making the tokens has left behind is not the check's to clear away.
    globalThis.gc?.()
    let found = 0
    const started = process.hrtime.bigint()
    for (const claims of tokens) if (subscriber.check(claims).code === code) found += 1
    const ns = Number(process.hrtime.bigint() - started) / count
    if (found !== count) throw new Error(`${count - found} of ${count} checks were not ${code}.`)
    return ns
  },

  /** Makes the view that `judge` asks. */
  async readView(url: string): Promise<number> {
    const { body } = await fetch(`${url}/v1/snapshot`)
    if (body === null) throw new Error('There is no snapshot.')
    const view = new View(DEFAULT_TENANT)
    let head
    for await (const { text = '' } of readLines(body, 262_144)) {
      if (head === undefined) {
        head = parseSnapshotHead(parseJson(text), view.tenant)
        continue
      }
      const line = parseSnapshotLine(parseJson(text))
      if (line === undefined) continue
      if (line.end) view.endSnapshot(head)
      else view.putRule(line.shard, line.position, line.rule)
    }
    judged = view
    return view.rules.size
  },

  /** As `check`, but without freshness, policy and counts: `exp` by the local clock, and the rules. ns per judgement of a good token. */
  judge(first: number, count: number): number {
    if (judged === undefined) throw new Error('There is no view.')
    const tokens = claimsOf(first, count)
    globalThis.gc?.()
    let found = 0
    const started = process.hrtime.bigint()
    for (const claims of tokens) {
      if (judged.judge(claims, undefined, Date.now() / 1000).code === 'active') found += 1
    }
    const ns = Number(process.hrtime.bigint() - started) / count
    if (found !== count) throw new Error(`${count - found} of ${count} tokens were not active.`)
    return ns
  },

  /** Bytes per id in what one would use instead: a Set of strings. */
  weighSet(count: number): number {
    const before = memory()
    set = new Set()
    for (let from = 0; from < count; from += 10_000) {
      for (const { jti } of claimsOf(from, Math.min(10_000, count - from))) set.add(jti)
    }
    const bytes = (memory() - before) / set.size
    set = undefined
    return bytes
  },
}

export type ViewProgram = typeof methods

serve(methods)
