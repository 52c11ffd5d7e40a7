import { expect } from 'chai'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import type { AuditRecord } from '../../shared/domain/audit-record.ts'
import { keySpaceOf } from '../../shared/store/keys.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { eventually } from '../support/eventually.ts'
import { bearer, openCall, textOf } from '../support/http-call.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

const RECORDS = 120_000
const NOTE = 'n'.repeat(900)

describe('an export of the audit trail', function () {
  this.timeout(90_000)
  let system: TestSystem
  let notifier: KnellProcess
  before(async () => {
    system = createSystem()
    // Far less than the trail takes, which would end a process that keeps it.
    notifier = await system.start('notifier', { NODE_OPTIONS: '--max-old-space-size=64' })
  })
  after(() => system.stop())

  const redisOf = () => createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
  const open = (query = '') =>
    openCall(`${notifier.url}/v1/audit?format=ndjson${query}`, bearer(system.apiKey))

  /** Puts records into the shards as the commit script does, with long notes. */
  async function fill(count: number, from: number): Promise<void> {
    const redis = redisOf()
    const keys = keySpaceOf(system.namespace)
    const who = { key: 'k' }
    const origin = { address: null, via: 'api' }
    for (let i = 0; i < count;) {
      const pipeline = redis.pipeline()
      for (let n = 0; n < 2000 && i < count; n++, i++) {
        const act = { action: 'replay', who, from: origin, note: NOTE, details: { i } }
        const { audit } = keys.shard('default', i % 4)
        const result = '{"ok":true}'
        pipeline.xadd(audit, `${from + i}-0`, 'a', JSON.stringify(act), 'r', result)
      }
      await pipeline.exec()
    }
    redis.disconnect()
  }

  async function memoryOf(process: KnellProcess): Promise<number> {
    const status = await readFile(`/proc/${process.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
  }

  it('holds only a little of it in memory, however slowly it is read, and says that it is whole', async () => {
    const from = Date.now() - 3_600_000
    await fill(RECORDS, from)
    const before = await memoryOf(notifier)
    const response = await open()
    expect(response.headers['content-type']).to.include('application/x-ndjson')
    // Nobody reads: what the process makes of 120 MB meanwhile stays with it, and is little.
    let last = 0
    await eventually(async () => {
      const now = await memoryOf(notifier)
      const isStill = now === last
      last = now
      return isStill
    })
    expect((last - before) / 2 ** 20, 'MiB that the process grew by').to.be.below(80)
    let [count, newest] = [0, 0]
    let end: Record<string, unknown> | undefined
    for await (const line of createInterface({ input: response })) {
      const record = JSON.parse(line) as AuditRecord
      if ('end' in record) {
        end = record as unknown as Record<string, unknown>
        continue
      }
      expect(end).to.equal(undefined)
      expect(record.details?.['i']).to.equal(count)
      expect(record.at).to.be.at.least(newest)
      newest = record.at
      count += 1
    }
    expect(count).to.equal(RECORDS)
    expect(end).to.include({ end: true, count })
    expect(end?.['upTo']).to.be.at.least(newest)
    const next = await textOf(await open(`&after=${String(end?.['upTo'])}`))
    expect(JSON.parse(next)).to.include({ end: true, count: 0 })
  })

  it('has no last line where it is cut off', async () => {
    const response = await open()
    let text = ''
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > 200_000) break
    }
    expect(text).to.not.include('"end":true')
    await eventually(async () => (await call(notifier, system.apiKey, '/v1/audit')).status === 200)
  })

  it('is filtered, and a page ends after a bounded look however little it finds', async () => {
    const since = await textOf(await open('&action=revoke'))
    expect(JSON.parse(since)).to.include({ end: true, count: 0 })
    const path = '/v1/audit?action=revoke'
    const first = await call(notifier, system.apiKey, path)
    expect(first.body['audit']).to.deep.equal([])
    let pages = 1
    for (let { next } = first.body; next !== undefined; pages++) {
      next = (await call(notifier, system.apiKey, `${path}&cursor=${next as string}`)).body['next']
    }
    expect(pages).to.equal(RECORDS / 20_000)
  })

  it('is trimmed by the sweep to its days and its room', async () => {
    const redis = redisOf()
    const { audit } = keySpaceOf(system.namespace).shard('default', 0)
    const poller = await system.start('poller', { AUDIT_MAX: '100', AUDIT_DAYS: '1' })
    await eventually(async () => (await redis.xlen(audit)) < 250)
    redis.disconnect()
    const { body } = await call(notifier, system.apiKey, '/v1/audit?limit=1')
    expect(body['cutAt']).to.be.a('number')
    await eventually(async () => {
      const { body: reports } = await call(poller, system.apiKey, '/v1/sweeps?limit=100')
      const sweeps = reports['sweeps'] as { cutRecords: number }[]
      const cut = sweeps.reduce((sum, { cutRecords }) => sum + cutRecords, 0)
      return cut > RECORDS - 1000 && cut < RECORDS
    })
    await eventually(() =>
      poller.output.join('\n').includes('audit records younger than AUDIT_DAYS are gone'),
    )
  })
})
