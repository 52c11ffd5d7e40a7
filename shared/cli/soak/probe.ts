import { setTimeout as delay } from 'node:timers/promises'
import type { Claims } from '../../domain/claims.ts'
import type { Dice } from './dice.ts'
import type { ServicePart } from './part.ts'
import type { RunRecord } from './run-record.ts'
import type { Said } from './service.ts'
import { LASTING_TENANT, type Stage } from './stage.ts'

/** One that does not answer by then was paused or killed meanwhile. */
const ANSWER_WITHIN_MS = 2000
const AT_ONCE = 20

async function ask(
  service: ServicePart,
  tenant: string,
  claims: readonly Claims[],
): Promise<readonly Said[]> {
  const answers = service.child?.call('check', tenant, claims) ?? Promise.resolve([])
  return Promise.race([
    answers.catch((): readonly Said[] => []),
    delay(ANSWER_WITHIN_MS, [] as readonly Said[], { ref: false }),
  ])
}

/**
 * Asks one instance for tokens that are revoked and for tokens that never were. Which store state a
 * decision rests on is for the view to say: one that claims to be newer than an acknowledgement
 * must contain what was acknowledged.
 */
export async function probe(stage: Stage, record: RunRecord, dice: Dice): Promise<void> {
  const service = dice.pick(stage.services)
  const now = Date.now() / 1000
  const some =
    record.made.length === 0 ? [] : Array.from({ length: AT_ONCE }, () => dice.pick(record.made))
  const alive = some.filter(({ claims }) => Number(claims['exp']) > now + 1)
  for (const tenant of new Set(alive.map((each) => each.tenant))) {
    const asked = alive.filter((each) => each.tenant === tenant)
    const said = await ask(
      service,
      tenant,
      asked.map(({ claims }) => claims),
    )
    for (const [i, { active, asOf }] of said.entries()) {
      record.count('checks')
      const { ackedAt, claims } = asked[i] ?? { ackedAt: Infinity, claims: {} }
      if (!active || asOf <= ackedAt) continue
      record.found.push(
        `${service.name} let ${JSON.stringify(claims)} in, with a view as of ${asOf - ackedAt} ms after the acknowledgement.`,
      )
    }
  }
  const untouched = record.untouched.slice(-AT_ONCE)
  for (const [i, { code }] of (await ask(service, LASTING_TENANT, untouched)).entries()) {
    record.count('checks')
    if (code !== 'revoked' && code !== 'held') continue
    record.found.push(
      `${service.name} says ${code} of ${JSON.stringify(untouched[i])}, which nobody revoked.`,
    )
  }
}

/** After a wait that said "done" no running instance may let the token in. */
export async function probeAll(stage: Stage, record: RunRecord, claims: Claims): Promise<void> {
  const all = await Promise.all(
    stage.services.map(async (service) => ({
      name: service.name,
      said: await ask(service, LASTING_TENANT, [claims]),
    })),
  )
  for (const { name, said } of all) {
    if (said[0]?.active !== true) continue
    record.found.push(`${name} let ${JSON.stringify(claims)} in after a wait for all was done.`)
  }
}
