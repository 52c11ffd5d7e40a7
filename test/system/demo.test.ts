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

  it('misses no dead token, refuses no good one and keeps each promise that it shows, with the push path alive and dead, and ends with its counts as JSON', async () => {
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
      'proved',
      'unproved',
      'proofMsP50',
      'held',
      'released',
      'staleRefusals',
      'handled',
      'lost',
      'checkNs',
    )
    const { revocations = 0, services = 0 } = summary
    expect(summary, story).to.include({ services: 3, missed: 0, falselyRefused: 0 })
    expect(summary['applied'], story).to.equal(revocations * services)
    expect(revocations, story).to.be.at.least(6)
    const counts = ['registered', 'expired', 'caughtByPoller', 'pushMsP50', 'proofMsP50', 'checkNs']
    for (const count of counts) expect(summary[count], `${count}; ${story}`).to.be.above(0)
    expect(summary, story).to.include({ unproved: 0, held: 3, released: 3, lost: 0 })
    expect(summary['proved'], story).to.equal(9)
    expect(story).to.match(/^proof .* enforced on 3 of 3 in [\d.]+ m?s$/m)
    expect(story).to.match(/the worker is stopped: enforced on 2 of 3, missing: worker$/m)
    expect(summary['staleRefusals'], story).to.be.at.least(2)
    expect(story).to.match(/ 503 stale, Retry-After \d+ /)
    expect(story).to.match(/^kill -9 .* in the midst of handling [1-9]/m)
    // One event for each revocation and each expiry, those included that RabbitMQ was dead for.
    expect(summary['handled'], story).to.equal(revocations + (summary['expired'] ?? NaN))
    expect(summary['pushMsP99'], story).to.be.at.least(summary['pushMsP50'] ?? NaN)
    expect(code, story).to.equal(0)
  })
})
