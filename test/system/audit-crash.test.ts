import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { AuditRecord } from '../../shared/domain/audit-record.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

const CALLERS = 8
const EACH = 30
const KILLS = 3

describe('the audit trail, with the notifier killed again and again', function () {
  this.timeout(120_000)
  let system: TestSystem
  let notifier: KnellProcess
  before(async () => {
    system = createSystem()
    notifier = await system.start('notifier')
  })
  after(() => system.stop())

  async function allOf(path: string, member: string): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = []
    let next: unknown = ''
    for (let cursor = ''; next !== undefined; cursor = `&cursor=${next as string}`) {
      const { body } = await call(notifier, system.apiKey, `${path}?limit=1000${cursor}`)
      found.push(...(body[member] as Record<string, unknown>[]))
      next = body['next']
    }
    return found
  }

  it('has exactly one record of each acknowledged change, and none of what was not made', async () => {
    const acknowledged = new Map<string, string>()
    let retries = 0
    /** Sends one revocation until it is acknowledged, under one idempotency key. */
    const revoke = async (sub: string): Promise<void> => {
      for (;;) {
        try {
          const headers = { 'idempotency-key': sub }
          const body = { match: { sub }, note: sub }
          const answer = await call(notifier, system.apiKey, '/v1/revocations', body, headers)
          if (answer.status === 201) {
            acknowledged.set(sub, String(answer.body['id']))
            return
          }
        } catch {
          // The process was killed under the call.
        }
        retries += 1
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    const callers = Array.from({ length: CALLERS }, async (_, caller) => {
      for (let i = 0; i < EACH; i++) await revoke(`s-${caller}-${i}`)
    })
    const all = Promise.all(callers)
    for (let kill = 1; kill <= KILLS; kill++) {
      const until = (CALLERS * EACH * kill) / (KILLS + 1)
      await eventually(() => acknowledged.size >= until, { timeoutMs: 30_000, intervalMs: 1 })
      await notifier.kill()
      notifier = await system.start('notifier')
    }
    await all
    expect(retries, 'calls that were cut off').to.be.greaterThan(0)
    const records = (await allOf('/v1/audit', 'audit')) as unknown as AuditRecord[]
    const byId = new Map(records.map((record) => [String(record.result['id']), record]))
    expect(byId.size, 'records of different changes').to.equal(records.length)
    expect(records).to.have.length(acknowledged.size)
    for (const [sub, id] of acknowledged) expect(byId.get(id)?.note, id).to.equal(sub)
    const rules = await allOf('/v1/revocations', 'rules')
    const ids = rules.flatMap(({ cutoffs }) => (cutoffs as { id: string }[]).map(({ id }) => id))
    expect(new Set(ids)).to.deep.equal(new Set(byId.keys()))
  })
})
