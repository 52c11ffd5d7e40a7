import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'
import { createIssuingSystem } from '../support/issuing.ts'
import type { TestSystem } from '../support/system.ts'

/** The secret of a key that may hold, but not release. */
const reader = randomBytes(12).toString('hex')
const folder = join(checkout, 'docs', 'examples')

/** What each program shows, as its last word on it: what dies, and what must not. */
const situations: Readonly<Record<string, readonly string[]>> = {
  'logout.mjs': [
    '✔ the laptop, at once: 401 revoked (logout)',
    '✔ its refresh: session_ended',
    '✔ the phone goes on: 200 welcome',
    '✔ its refresh, too: refreshed',
  ],
  'role-change.mjs': [
    '✔ her old token, at once: 401 revoked (role-change)',
    '✔ her refresh: session_revoked',
    '✔ and at /admin: 403 wrong_role',
    '✔ her next one: 403 wrong_role',
    '✔ Bob, who is still one: 200 welcome',
  ],
  'breach.mjs': [
    '✔ the thief, at once: 401 revoked (key-compromise)',
    '✔ whatever else the thief signs: 401 revoked (key-compromise)',
    '✔ Alice goes on: 200 welcome',
    '✔ a new login: 200 welcome',
  ],
  'suspension.mjs': [
    '✔ Alice, at once: 401 held (suspension)',
    '✔ her refresh: session_held',
    '✔ Alice, with the same token: 200 welcome',
    '✔ Alice, at once: 401 revoked (deletion)',
    '✔ her refresh: session_revoked',
    '✔ Bob still goes on: 200 welcome',
  ],
  'password-change.mjs': [
    '✔ they, at once: 401 revoked (password-change)',
    '✔ their refresh: session_revoked',
    '✔ the laptop goes on: 200 welcome',
    '✔ a login after that: 200 welcome',
  ],
  'anomaly.mjs': [
    '✔ the other: 401 held (anomaly)',
    '✔ it goes on with the same token: 200 welcome',
    '✔ it is revoked: 401 revoked (anomaly)',
    '✔ and cannot be refreshed: session_revoked',
    '✔ the session at home still goes on: 200 welcome',
  ],
}

describe('the programs in docs/examples', function () {
  this.timeout(60_000)
  let system: TestSystem
  let env: NodeJS.ProcessEnv

  before(async () => {
    system = createIssuingSystem()
    const keys = `test=${system.apiKey}:* reader=${reader}:feed:read+tokens:issue+revocations:write`
    const { url } = await system.start('notifier', { API_KEYS: keys })
    env = {
      PATH: process.env['PATH'],
      AMQP_URL: system.env['AMQP_URL'],
      KNELL_URL: url,
      KNELL_API_KEY: system.apiKey,
      NAMESPACE: system.namespace,
      ISSUER: system.env['ISSUER'],
    }
  })
  after(() => system.stop())

  async function run(
    file: string,
    more: NodeJS.ProcessEnv = {},
  ): Promise<{ code: number | null; output: string }> {
    const child = spawn(process.execPath, [join(folder, file)], {
      env: { ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    }
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, output }
  }

  it('are the six situations', () => {
    const programs = readdirSync(folder).filter((file) => file.endsWith('.mjs'))
    expect(programs).to.have.members(Object.keys(situations))
  })

  for (const [file, shown] of Object.entries(situations)) {
    it(`of ${file} runs as it stands, and sees die what must and live what must`, async () => {
      const { code, output } = await run(file)
      expect(code, output).to.equal(0)
      expect(output).to.not.include('✘')
      expect(output.split('\n')).to.include.members([...shown])
    })
  }

  it('end with 1, and say why, where what they show does not come about', async () => {
    const { code, output } = await run('suspension.mjs', { KNELL_API_KEY: reader })
    expect(code, output).to.equal(1)
    expect(output).to.include('✔ her refresh: session_held').and.to.include('"code":"forbidden"')
    expect(output).to.not.include('with the same token')
  })
})
