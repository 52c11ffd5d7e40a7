import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { violationsOf, type AskedView } from '../../testing/history.ts'
import { call } from './client.ts'
import type { FeedLedger } from './feed-ledger.ts'
import type { ServicePart } from './part.ts'
import type { RunRecord } from './run-record.ts'
import { LASTING_TENANT, type Stage } from './stage.ts'

/** So many are told of each kind; the rest is counted. */
const SHOWN = 5

/** What is not as promised yet, now that nothing is harmed any more. */
export async function verdictOf(
  stage: Stage,
  record: RunRecord,
  ledger: FeedLedger,
  services: readonly ServicePart[],
): Promise<string[]> {
  await ledger.read()
  const now = Math.floor(Date.now() / 1000)
  const history = {
    acknowledged: record.acknowledged,
    unknown: record.unknown,
    spared: record.spared,
    life: record.life,
    now,
    expiries: ledger.entries,
    due: record.registered,
  }
  const wrong = await violationsOf(history, await asViews(services, record))
  return [...wrong, ...(await unhandled(stage, record))]
}

/** A view that has answered for everything at once. */
async function asViews(services: readonly ServicePart[], record: RunRecord): Promise<AskedView[]> {
  const asked = [
    ...record.acknowledged.map(({ match }) => ({ ...match, ...record.life })),
    ...record.spared.map(({ claims }) => claims),
  ]
  return Promise.all(
    services.map(async ({ name, child }) => {
      const said = (await child?.call('check', LASTING_TENANT, asked)) ?? []
      const codes = new Map(asked.map((claims, i) => [JSON.stringify(claims), said[i]?.code]))
      return {
        name,
        check: (claims) => ({ code: codes.get(JSON.stringify(claims)) ?? 'not_ready' }),
      }
    }),
  )
}

/** What a service's handlers have neither handled nor given up. */
async function unhandled(stage: Stage, record: RunRecord): Promise<string[]> {
  const found: string[] = []
  for (const service of stage.cast.services) {
    const lines = await readFile(join(stage.folder, `${service}.handled`), 'utf8').catch(() => '')
    const handled = new Set(lines.split('\n'))
    record.counts[`handled by ${service}`] = handled.size
    const missing = [...record.owed].filter((line) => !handled.has(line))
    if (missing.length === 0) continue
    const given = await givenUp(stage, service)
    if (given >= missing.length) continue
    found.push(
      `${missing.length} events were never handled by ${service} (${given} dead letters): ${missing.slice(0, SHOWN).join(' ')}`,
    )
  }
  return found
}

async function givenUp({ notifiers, apiKey }: Stage, service: string): Promise<number> {
  const [notifier] = notifiers
  const outcome = await call(`${notifier?.url}/v1/dead?service=${service}&limit=1000`, apiKey)
  return outcome.kind === 'acknowledged' ? Number(outcome.body['total']) : 0
}

/** The first few of each sentence's beginning. */
export function shorten(found: readonly string[]): string[] {
  if (found.length <= 4 * SHOWN) return [...found]
  return [...found.slice(0, 4 * SHOWN), `… and ${found.length - 4 * SHOWN} more.`]
}
