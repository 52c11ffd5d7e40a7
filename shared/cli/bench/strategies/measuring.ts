import { quantile } from '../statistics.ts'
import type { Gate, Verified } from './gate.ts'

/** Requests that wait at a time where throughput is measured. */
export const AT_ONCE = 32

/** What one round of requests has cost. Times are ns. */
export interface Cost {
  /** Verifying and asking, one request after the other. */
  readonly p50: number
  readonly p99: number
  /** Asking alone. 0 where nothing is asked, or where asking is verifying. */
  readonly askP50: number
  readonly askP99: number
  readonly askMean: number
  /** Requests a second of this process with many at once, and what each has cost it of its core. */
  readonly perSecond: number
  readonly cpu: number
  /** Calls over the network per request. */
  readonly calls: number
}

/** Every token must be let in: a strategy that refuses good ones is measured for nothing. */
function assertAll(admitted: number, count: number): void {
  if (admitted !== count)
    throw new Error(`${count - admitted} of ${count} good tokens were refused.`)
}

export async function measureAdmitting(
  gate: Gate,
  tokens: readonly string[],
): Promise<Pick<Cost, 'p50' | 'p99'>> {
  globalThis.gc?.()
  const times: number[] = []
  let admitted = 0
  for (const token of tokens) {
    const started = process.hrtime.bigint()
    if (await gate.admit(token)) admitted += 1
    times.push(Number(process.hrtime.bigint() - started))
  }
  assertAll(admitted, tokens.length)
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}

/** Reading the clock, which takes a tenth of a microsecond, is part of each figure. */
export async function measureAsking(
  gate: Gate,
  verified: readonly Verified[],
): Promise<Pick<Cost, 'askP50' | 'askP99' | 'askMean'>> {
  const { ask } = gate
  if (ask === undefined) return { askP50: 0, askP99: 0, askMean: 0 }
  globalThis.gc?.()
  const times: number[] = []
  let admitted = 0
  for (const one of verified) {
    const started = process.hrtime.bigint()
    const answer = ask(one)
    // Waiting for what is there already would cost more than a look into memory.
    if (typeof answer === 'boolean' ? answer : await answer) admitted += 1
    times.push(Number(process.hrtime.bigint() - started))
  }
  assertAll(admitted, verified.length)
  return {
    askP50: quantile(times, 0.5),
    askP99: quantile(times, 0.99),
    askMean: times.reduce((sum, ns) => sum + ns, 0) / times.length,
  }
}

export async function measureThroughput(
  gate: Gate,
  tokens: readonly string[],
  atOnce: number,
): Promise<Pick<Cost, 'perSecond' | 'cpu'>> {
  globalThis.gc?.()
  let next = 0
  let admitted = 0
  const one = async (): Promise<void> => {
    for (let token = tokens[next++]; token !== undefined; token = tokens[next++]) {
      if (await gate.admit(token)) admitted += 1
    }
  }
  const cpuBefore = process.cpuUsage()
  const started = process.hrtime.bigint()
  await Promise.all(Array.from({ length: atOnce }, one))
  const ns = Number(process.hrtime.bigint() - started)
  const { user, system } = process.cpuUsage(cpuBefore)
  assertAll(admitted, tokens.length)
  return {
    perSecond: (tokens.length * 1e9) / ns,
    cpu: ((user + system) * 1000) / tokens.length,
  }
}
