import { expect } from 'chai'
import type { ChildProcess } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { statSync } from 'node:fs'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { knellFile, runKnell, runProgram, type Ran, type RunOptions } from '../support/run-knell.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

const CTRL_C = '\u0003'

describe('knell, at a terminal', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess
  let env: Record<string, string>

  before(async function () {
    // util-linux's `script` gives the command a terminal; elsewhere it takes other arguments.
    if (process.platform !== 'linux') this.skip()
    system = createSystem()
    notifier = await system.start('notifier')
    env = { KNELL_URL: notifier.url, KNELL_API_KEY: system.apiKey }
    const service = await system.subscribe({ service: 'orders' })
    await eventually(() => service.stats.push === 'up', { what: 'the push path' })
  })
  after(() => system?.stop())

  const atTerminal = (args: string, options: RunOptions = {}): Promise<Ran> =>
    runProgram('script', ['-qec', `stty cols 80; "$NODE" "$KNELL" ${args}`, '/dev/null'], {
      ...options,
      env: { ...env, ...options.env, NODE: process.execPath, KNELL: knellFile, TERM: 'xterm' },
    })

  /** Presses Ctrl-C once, as soon as the text is there. */
  const interruptAt = (text: string): RunOptions => {
    let isDone = false
    return {
      isOpen: true,
      onOutput(output, child) {
        if (isDone || !output.includes(text)) return
        isDone = true
        child.stdin?.end(CTRL_C)
      },
    }
  }

  it('paints verdicts and headings, and shows no escape sequence as text', async () => {
    for (const args of ['status', 'queues', 'subscribers']) {
      const { out, code } = await atTerminal(args)
      expect(code, out).to.equal(0)
      expect(out, args).to.not.include('\\u001b')
      expect(out, args).to.include('\u001b[1m')
    }
    const { out } = await atTerminal('status')
    expect(out).to.include('\u001b[32mok\u001b[39m')
    const text = stripVTControlCharacters(out)
    expect(text).to.match(/^service +instance +state +behind +stale/m)
  })

  it('ends with 130 and without a stack by Ctrl-C at its question, and does nothing', async () => {
    const ran = await atTerminal('revoke --client-id till', interruptAt('[y/N]'))
    expect(ran.code, ran.out).to.equal(130)
    expect(ran.out).to.not.match(/AbortError|at .*\.(js|ts):/)
    expect(ran.out).to.match(/\[y\/N\] [^]*Nothing was done\.\s*$/)
    const { body } = await call(notifier, system.apiKey, '/v1/revocations?client_id=till')
    expect(body['rule']).to.equal(null)
  })

  it('says by Ctrl-C while it waits that the revocation may be in force, and how to look', async () => {
    const args = ['revoke', '--sub', 'wanda', '--wait', '9', '--timeout', '20s']
    const started: ChildProcess[] = []
    const running = runKnell(args, { env, onStart: (child) => void started.push(child) })
    const isRevoked = async (): Promise<boolean> => {
      const { body } = await call(notifier, system.apiKey, '/v1/revocations?sub=wanda')
      return body['rule'] !== null
    }
    await eventually(isRevoked, { what: 'the revocation' })
    expect(started[0]?.kill('SIGINT')).to.equal(true)
    const ran = await running
    expect(ran.code).to.equal(130)
    expect(ran.out).to.equal('')
    expect(ran.err)
      .to.include('may be committed; nobody waited for it')
      .and.include('knell check')
      .and.include('knell audit')
  })

  it('tells in its first line what was revoked, and where it is in force', async () => {
    const { out, code } = await runKnell(['revoke', '--sub', 'alice', '--wait', 'all'], { env })
    expect(code).to.equal(0)
    expect(out).to.match(
      /^revoked sub=alice: enforced on 1 of 1 instances in [\d.]+ m?s\nid +\S+\n/,
    )
    const absent = ['revoke', '--sub', 'amy', '--wait', '9', '--timeout', '10ms']
    const late = await runKnell(absent, { env })
    expect(late.code).to.equal(4)
    expect(late.out).to.match(/^revoked sub=amy: not enforced: only on [01] of 1 instances in /)
  })

  it('is a program of its own in a checkout', async () => {
    expect(statSync(knellFile).mode & 0o111, 'executable').to.equal(0o111)
    expect((await runProgram(knellFile, ['--version'], {})).code).to.equal(0)
  })

  it('fails to remove who is not there, and says so', async () => {
    const ran = await runKnell(['subscribers', 'rm', 'orders', 'nope'], { env })
    expect(ran.code).to.equal(1)
    expect(ran.err).to.equal('There is no instance "nope" of the service "orders".\n')
    const service = await runKnell(['subscribers', 'rm', 'nobody', '--yes'], { env })
    expect(service.code).to.equal(1)
    expect(service.err).to.equal('There is no service "nobody".\n')
  })

  describe('asked how Knell is', () => {
    it('fails where the key tells it less than there is, and says why once', async () => {
      const wrong = await runKnell(['status'], { env: { ...env, KNELL_API_KEY: 'wrong' } })
      expect(wrong.code).to.equal(1)
      expect(wrong.out.match(/unauthorized/g)).to.have.length(1)
      expect(wrong.out).to.match(/^overview, .*queues.*: unauthorized: /m)
      const stranger = await runKnell(['status', '--tenant', 'nowhere'], { env })
      expect(stranger.code).to.equal(1)
      expect(stranger.out).to.match(/^subscribers: unknown_tenant: /m)
      const json = await runKnell(['status', '--json'], { env: { ...env, KNELL_API_KEY: 'wrong' } })
      expect(json.code).to.equal(1)
      expect(JSON.parse(json.out)).to.have.nested.property('missing.queues')
    })

    it('ends the sentence about instances once, and gives times as people read them', async () => {
      const { out } = await runKnell(['status'], { env })
      expect(out).to.match(/enforced +ok {2}All 1 live instances are up to date\. Slowest: orders /)
    })
  })
})
