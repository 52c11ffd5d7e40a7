import { expect } from 'chai'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { mutations } from './mutations.ts'

/** Three to four times what a slow machine takes. */
const TIMEOUT_MS = 600_000
const FIXED_SEEDS = 40
/** So many seeds at most until a broken rule shows. */
const MUTATION_SEEDS = 40
const mainFile = join(import.meta.dirname, 'main.js')
const MAX_OUTPUT = 64 * 1024 * 1024

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function simulate(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: MAX_OUTPUT }
    execFile(
      process.execPath,
      ['--enable-source-maps', mainFile, ...args],
      options,
      (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code
        if (typeof code === 'number') resolve({ code, stdout, stderr })
        else reject(error instanceof Error ? error : new Error(stderr))
      },
    )
  })
}

describe('simulation', function () {
  this.timeout(TIMEOUT_MS)

  it('breaks no promise on the fixed seeds', async () => {
    const { code, stdout } = await simulate('--seed', '1', '--runs', `${FIXED_SEEDS}`)
    expect(code, stdout).to.equal(0)
  })

  it('plays the same seed the same way again, whatever was played before', async () => {
    const [many, one] = await Promise.all([
      simulate('--seed', '5', '--runs', '3', '--digests'),
      simulate('--seed', '7', '--runs', '1', '--digests'),
    ])
    expect(many.stdout).to.match(/^7 [0-9a-f]{64}$/m)
    expect(many.stdout).to.include(one.stdout)
  })

  it('plays the same on many workers as on one', async () => {
    const [one, two] = await Promise.all([
      simulate('--seed', '1', '--runs', '6', '--workers', '1', '--digests'),
      simulate('--seed', '1', '--runs', '6', '--workers', '2', '--digests'),
    ])
    expect(one.stdout.trimEnd().split('\n')).to.have.lengthOf(6)
    expect(two.stdout).to.equal(one.stdout)
  })

  it('leaves no worker behind when it is killed', async () => {
    const main = spawn(process.execPath, [mainFile, '--seed', '1', '--runs', '9999', '--verbose'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    // A worker tells its history on the same pipe, and holds it open for as long as it lives.
    await once(main.stdout, 'data')
    const closed = once(main, 'close')
    main.stdout.resume()
    main.kill('SIGKILL')
    await closed
  })

  for (const { name, breaks, faults } of mutations) {
    it(`finds out where it no longer holds that ${breaks}`, async () => {
      const args = ['--seed', '1', '--runs', `${MUTATION_SEEDS}`, '--mutation', name]
      const { code, stdout, stderr } = await simulate(...args)
      const [, seed = ''] = /^Seed (\d+) shows: /m.exec(stdout) ?? []
      expect(seed, stderr).not.to.equal('')
      expect(code).to.equal(1)
      const unbroken = await simulate('--seed', seed, '--faults', faults.join())
      expect(unbroken.code, unbroken.stdout).to.equal(0)
    })
  }
})
