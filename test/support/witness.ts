import type { Match } from '../../shared/domain/claims.ts'
import { parseEntry, type ExpiryEntry } from '../../shared/domain/entry.ts'
import {
  violationsOf,
  type AskedView,
  type History,
  type RevocationCall,
  type SampleToken,
} from '../../shared/testing/history.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from './eventually.ts'
import { call, now, oldToken, type Answer, type TestSystem } from './system.ts'

type Target = { readonly url: string }

/** Makes calls, remembers what became of each, and holds views and feed to it in the end. */
export interface Witness {
  readonly acknowledged: readonly RevocationCall[]
  readonly unknown: readonly RevocationCall[]
  /** Sends a revocation, perhaps under an idempotency key; undefined where no answer came. */
  revoke(
    process: Target,
    match: Match,
    options?: { readonly key?: string; readonly issuedBefore?: number },
  ): Promise<Answer | undefined>
  /** Registers tokens, whose expiry must then be announced, and says whether that was acknowledged. */
  register(process: Target, jtis: readonly string[], exp: number): Promise<boolean>
  /**
   * From now on looks, `maxStaleness` ms after each acknowledgement, whether this view still lets
   * such a token in; `holds` tells of it.
   */
  bound(view: Subscriber, maxStaleness: number): void
  /**
   * Waits until the history check finds nothing in these views, in one that starts now, and in the
   * feed as this process tells it; throws with what it found last.
   */
  holds(process: Target, views?: readonly Subscriber[], within?: number): Promise<void>
}

/** Tokens that nobody revokes; some differ from those that are in one digit. */
function bystanders(calls: readonly RevocationCall[]): SampleToken[] {
  const token = oldToken()
  const near = calls.flatMap(({ match: { jti, sub } }): SampleToken[] => {
    const other = typeof jti === 'string' ? { jti: `${jti.slice(0, -1)}~` } : { sub: `${sub}~` }
    return [{ claims: { ...token, ...other } }]
  })
  return [...near, { claims: { ...token, sub: 'bystander', jti: 'bystander' } }]
}

export function createWitness(system: TestSystem): Witness {
  const acknowledged: RevocationCall[] = []
  const unknown: RevocationCall[] = []
  const due: { jti: string; exp: number }[] = []
  const bounds: ((match: Match) => void)[] = []
  const late: string[] = []

  async function historyFrom(process: Target): Promise<History> {
    return {
      acknowledged,
      unknown,
      spared: bystanders([...acknowledged, ...unknown]),
      life: oldToken(),
      now: now(),
      expiries: due.length === 0 ? [] : await readExpiries(process, system.apiKey),
      due: due.filter(({ exp }) => exp < now()),
    }
  }

  return {
    acknowledged,
    unknown,
    async revoke(process, match, { key, ...more } = {}) {
      const headers = key === undefined ? {} : { 'idempotency-key': key }
      const body = { match, ...more }
      try {
        const answer = await call(process, system.apiKey, '/v1/revocations', body, headers)
        const { status } = answer
        if (status >= 500) unknown.push({ match })
        if (status === 201) {
          acknowledged.push({ match, issuedBefore: answer.body['issuedBefore'] as number | null })
          for (const watch of bounds) watch(match)
        }
        return answer
      } catch {
        unknown.push({ match })
        return undefined
      }
    },
    async register(process, jtis, exp) {
      const tokens = jtis.map((jti) => ({ claims: { jti, exp } }))
      const answer = await call(process, system.apiKey, '/v1/tokens', tokens).catch(() => undefined)
      const isTaken = answer?.status === 201 && answer.body['registered'] === jtis.length
      if (isTaken) due.push(...jtis.map((jti) => ({ jti, exp })))
      return isTaken
    },
    bound(view, maxStaleness) {
      bounds.push((match) => {
        const look = (): void => {
          const { active, code } = view.check({ ...oldToken(), ...match })
          if (!active) return
          late.push(`${JSON.stringify(match)} is ${code} ${maxStaleness} ms after its revocation.`)
        }
        setTimeout(look, maxStaleness).unref()
      })
    },
    async holds(process, views = [], within = 20_000) {
      const newcomer = await system.subscribe({ service: 'late', pull: [process.url] })
      const asked = [...views, newcomer].map((view, i): AskedView => ({
        name: i === views.length ? 'a view that started late' : `view ${i}`,
        check: (claims, header) => view.check(claims, header),
      }))
      const check = async (): Promise<true> => {
        const found = [...late, ...(await violationsOf(await historyFrom(process), asked))]
        if (found.length === 0) return true
        throw new Error(`${found.length} violations:\n${found.slice(0, 10).join('\n')}`)
      }
      await eventually(check, {
        timeoutMs: within,
        intervalMs: 100,
        what: 'the guarantees to hold',
      })
      await newcomer.close()
    },
  }
}

/** All entries of the log of expiries that the feed still has. */
async function readExpiries(process: Target, apiKey: string): Promise<ExpiryEntry[]> {
  const entries: ExpiryEntry[] = []
  const read = async (after: string): Promise<Record<string, unknown>> => {
    const path = `/v1/feed?log=expiries&limit=1000&after=${after}`
    const { status, body } = await call(process, apiKey, path)
    if (status !== 200) throw new Error(`the feed answers ${status}`)
    return body
  }
  const { body } = await call(process, apiKey, '/v1/feed?log=expiries')
  const places = ((body['tails'] ?? []) as unknown[]).map(() => '0-0')
  for (;;) {
    const page = await read(places.join(','))
    for (const value of page['entries'] as unknown[]) {
      const entry = parseEntry(value)
      if (entry.log !== 'expiries') continue
      entries.push(entry)
      places[entry.shard] = `${entry.epoch.split('.')[0]}-${entry.seq}`
    }
    if (page['more'] !== true) return entries
  }
}
