import { parseJson } from '../../domain/entry.ts'
import { readLines } from '../../domain/lines.ts'
import { View } from '../../domain/view.ts'
import { connect, type ConnectOptions, type Subscriber } from '../../subscriber/index.ts'
import { parseSnapshotHead, parseSnapshotLine } from '../../subscriber/messages.ts'
import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import { serve } from './serve.ts'
import { quantile } from './statistics.ts'
import { jtiOf } from './tokens.ts'
import { measureVerify, type Signer, type VerifyCost } from './verify-cost.ts'

/** A consuming service with very many revocations in its view. It must not load ioredis, as no such service does. */

export interface ViewOptions {
  readonly amqpUrl: string
  readonly namespace: string
  /** Where the snapshot is served. */
  readonly url: string
  readonly apiKey?: string
  /** Who signs the tokens that it is to verify. */
  readonly signer?: Signer
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
let set: Set<string> | undefined

function service(): Subscriber {
  if (subscriber === undefined) throw new Error('There is no view.')
  return subscriber
}

function memory(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function verifyBy({ kid, pem, issuer, audience }: Signer): Pick<ConnectOptions, 'verify'> {
  return { verify: { keys: [{ kid, alg: 'ES256', pem }], issuer, audience } }
}

type Token = { readonly jti: string }

/** Few enough to be what a processor holds nearest, as a token is that has just been verified. */
const BATCH = 100

/** The median ns per token over batches, each read from JSON just before: texts that nothing has looked at yet. A collection in the middle of one so does not count. */
function timed(first: number, count: number, hits: (tokens: readonly Token[]) => number): number {
  const iat = Math.floor(Date.now() / 1000)
  const times: number[] = []
  for (let from = 0; from + BATCH <= count; from += BATCH) {
    const tokens: Token[] = []
    for (let i = first + from; i < first + from + BATCH; i++) {
      const claims = { iss: 'https://issuer', sub: 'alice', jti: jtiOf(i), iat, exp: iat + 600 }
      tokens.push(JSON.parse(JSON.stringify(claims)) as Token)
    }
    const started = process.hrtime.bigint()
    const found = hits(tokens)
    times.push(Number(process.hrtime.bigint() - started) / BATCH)
    if (found !== BATCH) throw new Error(`${BATCH - found} of ${BATCH} were not found as told.`)
  }
  return quantile(times, 0.5)
}

function* jtis(count: number): Generator<string> {
  for (let i = 0; i < count; i++) yield (JSON.parse(`["${jtiOf(i)}"]`) as [string])[0]
}

const methods = {
  async boot({ amqpUrl, namespace, url, apiKey = 'none', signer }: ViewOptions): Promise<Booted> {
    const before = memory()
    const started = performance.now()
    subscriber = await connect({
      service: 'bench',
      amqp: amqpUrl,
      namespace,
      pull: [url],
      apiKey,
      // The snapshot is all there is: nobody beats for a store that does not exist.
      maxStaleness: 3_600_000,
      ...(signer && verifyBy(signer)),
    })
    const bootMs = performance.now() - started
    const { rules, packedBytes } = subscriber.stats
    return { rules, bootMs, packedBytes, processBytes: memory() - before }
  },

  /** ns per check of so many tokens, all of which must be found as told. */
  check(first: number, count: number, code: 'active' | 'revoked'): number {
    const asked = service()
    return timed(first, count, (tokens) => {
      let found = 0
      for (const claims of tokens) if (asked.check(claims).code === code) found += 1
      return found
    })
  },

  /** ns per token for one way to verify and another. */
  verify: (tokens: readonly string[], signer: Signer): Promise<VerifyCost> =>
    measureVerify(service(), tokens, signer),

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
      else if ('run' in line) view.putRun(line.run, () => {})
      else view.putRule(line.shard, line.position, line.rule)
    }
    judged = view
    return view.rules.size
  },

  /** As `check`, but without freshness, policy and counts: `exp` by the local clock, and the rules. ns per judgement of a good token. */
  judge(first: number, count: number): number {
    const asked = judged
    if (asked === undefined) throw new Error('There is no view.')
    return timed(first, count, (tokens) => {
      let found = 0
      for (const claims of tokens) {
        if (asked.judge(claims, undefined, Date.now() / 1000).code === 'active') found += 1
      }
      return found
    })
  },

  /** Makes what one would use instead, a Set of strings. Bytes per id. */
  fillSet(count: number): number {
    const before = memory()
    set = new Set(jtis(count))
    return (memory() - before) / set.size
  },

  /** ns per look-up in that set of what it does not have. */
  askSet(first: number, count: number): number {
    const asked = set ?? new Set<string>()
    return timed(first, count, (tokens) => {
      let found = 0
      for (const { jti } of tokens) if (!asked.has(jti)) found += 1
      return found
    })
  },
}

export type ViewProgram = typeof methods

serve(methods)
