import { expect } from 'chai'
import { Redis } from 'ioredis'
import { createLog } from '../../../shared/process/create-log.ts'
import { engineUrl } from '../../support/store.ts'

describe('the log of a process', () => {
  for (const [where, wrap] of [
    ['itself', (cause: unknown) => cause],
    [
      'that another one tells of',
      (cause: unknown) => Object.assign(new Error('all failed'), { lastNodeError: cause }),
    ],
  ] as const) {
    it(`holds nothing of the command that Redis refused, but why, of an error ${where}`, async () => {
      const redis = new Redis(engineUrl('REDIS_URL'), { maxRetriesPerRequest: 1 })
      const refused: unknown = await redis.call('AUTH', 'nobody', 'Gehe1m').catch((e: unknown) => e)
      redis.disconnect()
      expect(JSON.stringify(refused), 'as the client throws it').to.include('Gehe1m')
      let written = ''
      const log = createLog('knell test', 'debug', { write: (line) => (written += line) })
      log.debug({ err: wrap(refused) }, 'refused')
      expect(written).not.to.include('Gehe1m').and.not.include('AUTH')
      expect(written).to.include('WRONGPASS').and.include('"name":"knell test"')
    })
  }
})
