import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const demo = fileURLToPath(new URL('../../shared/cli/demo.js', import.meta.url))

describe('npm run demo', function () {
  this.timeout(90_000)
  let child: ChildProcess | undefined

  // A demo that has not ended in time must not outlive the test.
  after(async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })

  it('misses no dead token and refuses no good one, with the push path alive and dead, and ends with its counts as JSON', async () => {
    const running = spawn(process.execPath, ['--enable-source-maps', demo, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = running
    const [stdout, story, [code]] = await Promise.all([
      text(running.stdout),
      text(running.stderr),
      once(running, 'exit'),
    ])
    const lines = stdout.trim().split('\n')
    expect(lines, story).to.have.length(1)
    const summary = JSON.parse(lines[0] ?? '') as Record<string, number>
    expect(summary, story).to.have.all.keys(
      'registered',
      'revocations',
      'expired',
      'services',
      'applied',
      'missed',
      'falselyRefused',
      'caughtByPoller',
      'pushMsP50',
      'pushMsP99',
      'checkNs',
    )
    const { revocations = 0, services = 0 } = summary
    expect(summary, story).to.include({ services: 3, missed: 0, falselyRefused: 0 })
    expect(summary['applied'], story).to.equal(revocations * services)
    expect(revocations, story).to.be.at.least(6)
    for (const count of ['registered', 'expired', 'caughtByPoller', 'pushMsP50', 'checkNs']) {
      expect(summary[count], `${count}; ${story}`).to.be.above(0)
    }
    expect(summary['pushMsP99'], story).to.be.at.least(summary['pushMsP50'] ?? NaN)
    expect(code, story).to.equal(0)
  })
})
