import { createPublicKey, randomBytes } from 'node:crypto'
import { openNotifier, secret, type Bench } from './bench-context.ts'
import { Caller } from './caller.ts'
import { openChild, type Child } from './child.ts'
import { openRedis, storedBytes } from './redis-info.ts'
import type { CaseResult } from './result.ts'
import { deathsOneByOne, deathsTogether, type Kill } from './strategies/deaths.ts'
import { EVERY_MS, type GateOptions } from './strategies/gate.ts'
import { AT_ONCE, type Cost } from './strategies/measuring.ts'
import { plans, type Plan } from './strategies/plans.ts'
import type { ProtectedService } from './strategies/protected-service.ts'
import { revokedKey } from './strategies/revoked-key.ts'
import { gridOf, recordOf, type Outcome } from './strategies/outcome.ts'
import { notesOf } from './strategies/notes.ts'
import { createMint, orderOf, type Mint } from './strategies/mint.ts'
import { jtiOf } from './tokens.ts'

const CALLERS = 32

interface Running {
  readonly plan: Plan
  readonly service: Child<ProtectedService>
  readonly grownBytes: number
  readonly costs: Cost[]
}

/** Every way of refusing dead tokens, side by side on the same tokens. */
export async function runStrategies(bench: Bench): Promise<CaseResult> {
  const { engines, scope, sizes, say } = bench
  const { sessions, perRound, rounds, deaths, revoked, cacheMs } = sizes.strategies
  const mint = createMint()
  const others = Array.from({ length: deaths }, (_, i) => createMint(`bench-other-${i}`))
  const issuing = issuingEnv(mint)
  const notifier = await openNotifier(bench, issuing)
  const stateful = await openNotifier(bench, { ...issuing, STATEFUL: '1' })
  const redis = openRedis(bench)
  const caller = new Caller(notifier.url, secret, { sockets: CALLERS })
  scope.defer(() => caller.close())

  say(`strategies: revoking ${revoked} tokens, in Knell and in a list`)
  const list = (jti: string): Promise<unknown> =>
    redis.set(revokedKey(engines.namespace, jti), '1', 'EX', 3600)
  const revoke = (match: object): Promise<unknown> =>
    caller.post('/v1/revocations', { match, reason: 'logout' })
  const bytesBefore = await storedBytes(redis)
  await atOnce(revoked, (i) => list(jtiOf(i)))
  const listBytes = ((await storedBytes(redis)) - bytesBefore) / revoked
  await atOnce(revoked, (i) => revoke({ jti: jtiOf(i) }))

  const options: GateOptions = {
    keys: [mint, ...others].map(({ key }) => key),
    issuer: mint.issuer,
    audience: mint.audience,
    amqpUrl: engines.amqpUrl,
    redisUrl: engines.redisUrl,
    namespace: engines.namespace,
    url: notifier.url,
    statefulUrl: stateful.url,
    apiKey: secret,
    cacheMs,
    everyMs: EVERY_MS,
    sessions,
  }
  const tokens = Array.from({ length: sessions }, (_, i) => mint.sign(revoked + i))
  await register(caller, tokens)
  const running: Running[] = []
  for (const plan of plans) running.push(await open(bench, plan, options, tokens))

  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    if (round > 0) say(`strategies: round ${round} of ${rounds}`)
    const order = orderOf(perRound, sessions, round)
    for (const { service, costs } of running) {
      const cost = await service.call('measure', order, AT_ONCE)
      if (round > 0) costs.push(cost)
    }
  }

  const outcomes: Outcome[] = []
  let next = revoked + sessions
  for (const { plan, service, costs, grownBytes } of running) {
    say(`strategies: killing ${deaths} tokens: ${plan.title}`)
    const doomed = doomedOf(plan, mint, others, next, deaths)
    next += deaths
    if (plan.kill !== 'kid') await register(caller, [...doomed.keys()])
    const kill: Kill = (token) => {
      const { jti, kid } = doomed.get(token) ?? { jti: '', kid: '' }
      if (plan.kill === 'list') return list(jti)
      return revoke(plan.kill === 'kid' ? { kid } : { jti })
    }
    const lags = await lagsOf(plan, service, kill, [...doomed.keys()], cacheMs)
    const perToken = await service.call('bytesPerToken', revoked)
    outcomes.push({ plan, costs, lags, grownBytes, perToken })
  }
  return {
    record: recordOf(outcomes, listBytes),
    rows: [],
    grid: gridOf(outcomes),
    notes: notesOf(bench, outcomes, listBytes),
  }
}

/** What makes a notifier issue, and vouch for what the login service of the bench signs. */
function issuingEnv({ key, issuer }: Mint): Readonly<Record<string, string>> {
  const jwk = { ...createPublicKey(key.pem).export({ format: 'jwk' }), kid: key.kid, alg: 'ES256' }
  return {
    ISSUER: issuer,
    JWT_KEYS: JSON.stringify({ keys: [jwk] }),
    ISSUER_ENABLED: '1',
    KEY_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
  }
}

const PER_CALL = 1000

async function register(caller: Caller, tokens: readonly string[]): Promise<void> {
  for (let from = 0; from < tokens.length; from += PER_CALL) {
    const items = tokens.slice(from, from + PER_CALL).map((token) => ({ token }))
    await caller.post('/v1/tokens', items)
  }
}

async function open(
  bench: Bench,
  plan: Plan,
  options: GateOptions,
  tokens: readonly string[],
): Promise<Running> {
  const service = openChild<ProtectedService>('strategies/protected-service', {
    execArgv: ['--expose-gc'],
  })
  bench.scope.defer(() => service.stop())
  const grownBytes = await service.call('open', plan.gate, options)
  await service.call('take', options, tokens)
  return { plan, service, grownBytes, costs: [] }
}

/** Tokens that nobody has seen yet, with what they are killed by. */
function doomedOf(
  { kill }: Plan,
  mint: Mint,
  others: readonly Mint[],
  first: number,
  count: number,
): Map<string, { readonly jti: string; readonly kid: string }> {
  return new Map(
    Array.from({ length: count }, (_, i) => {
      const signer = (kill === 'kid' ? others[i] : undefined) ?? mint
      return [signer.sign(first + i), { jti: jtiOf(first + i), kid: signer.key.kid }]
    }),
  )
}

async function lagsOf(
  { kill: by, isLate }: Plan,
  service: Child<ProtectedService>,
  kill: Kill,
  tokens: readonly string[],
  cacheMs: number,
): Promise<number[]> {
  if (by === undefined) return []
  if (isLate === true) return deathsTogether(service, kill, tokens, cacheMs)
  return deathsOneByOne(service, kill, tokens)
}

async function atOnce(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const one = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await work(i)
  }
  await Promise.all(Array.from({ length: CALLERS }, one))
}
