import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { plans } from '../../shared/cli/bench/strategies/plans.ts'

const file = fileURLToPath(new URL('../../shared/cli/bench.js', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the bench on the engines of this test run. */
function bench(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['--enable-source-maps', file, ...args], {
    env: process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

type Line = Record<string, unknown> & { knell: Record<string, unknown> }

/** Every figure, however deep, is a number one can reckon with. */
function expectFigures(value: unknown, path: string): void {
  if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) expectFigures(inner, `${path}.${name}`)
  } else {
    expect(value, path).to.be.a('number').that.is.finite.and.above(0)
  }
}

describe('npm run bench', () => {
  it('prints one JSON line per case that was named, in that order, with the promised members', async function () {
    this.timeout(120_000)
    const { code, stdout, stderr } = await bench(
      '--quick',
      '--json',
      'check',
      'bytes',
      'push',
      'signing',
    )
    expect(code, stderr).to.equal(0)
    const lines = stdout
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Line)
    expect(lines.map((line) => line['case'])).to.deep.equal(['check', 'bytes', 'push', 'signing'])
    for (const { case: name, unit, title, rows, notes, ...figures } of lines) {
      expect(title).to.be.a('string')
      expect(rows).to.be.an('array').that.is.not.empty
      expect(notes).to.be.an('array').that.is.not.empty
      expect(unit).to.be.a('string').that.is.not.equal('')
      expect(figures).to.include.keys('knell')
      expectFigures(figures, String(name))
    }
    const [check, bytes, push, signing] = lines
    expect(check?.knell).to.include.keys('miss', 'hit', 'verify', 'bytesPerJti')
    expect(check).to.include.keys('peer', 'ratioToPeer')
    expect(bytes?.knell).to.include.keys('perToken', 'perTokenInOneSecond')
    expect(bytes).to.include.keys('peer', 'ratioToPeer')
    expect(signing).to.include.keys('floor', 'ratioToFloor')
    expect(push?.knell).to.include.keys('p50', 'p99')
    expect(push).to.include.keys('floor', 'ratioToFloor')
  })

  it('runs every strategy side by side, and says of each what it costs and how soon it refuses', async function () {
    this.timeout(240_000)
    const { code, stdout, stderr } = await bench('--quick', '--json', 'strategies')
    expect(code, stderr).to.equal(0)
    const { strategies, knell, peer } = JSON.parse(stdout) as Line & {
      strategies: Record<string, Record<string, unknown>>
    }
    expect(Object.keys(strategies)).to.deep.equal(plans.map(({ name }) => name))
    expect(knell).to.deep.equal(strategies['view'])
    expect(peer).to.include.keys('p50', 'listBytes')
    for (const [name, { calls, ask, askP99, askRange, lagMs, ...figures }] of Object.entries(
      strategies,
    )) {
      // These may be nothing: what asks nobody, and what is refused before the call returns.
      for (const figure of [calls, ask, askP99, lagMs]) expect(figure, name).to.be.at.least(0)
      expect(askRange, name).to.have.length(2)
      expect(figures, name).to.include.keys('p50', 'p99', 'perSecond', 'cpu', 'worstLagMs')
    }
    // What asks at each request makes one call for each, and what has a memory makes none.
    expect(strategies['redis']?.['calls']).to.equal(1)
    expect(strategies['check']?.['calls']).to.equal(1)
    expect(strategies['view']?.['calls']).to.equal(0)
    expect(strategies['cached']?.['calls']).to.be.above(0).and.below(1)
  })

  it('names the known cases, and measures nothing, where one is unknown', async () => {
    const { code, stdout, stderr } = await bench('push', 'expiri')
    expect(code).to.equal(2)
    expect(stdout).to.equal('')
    expect(stderr).to.include('There is no case "expiri"; did you mean "expiry"?')
    expect(stderr).to.match(/Cases: push, .*sweep/)
  })

  it('writes no page of less than one complete run', async () => {
    const { code, stderr } = await bench('--write', 'push')
    expect(code).to.equal(2)
    expect(stderr).to.include('one complete run')
  })

  it('refuses an option it does not know', async () => {
    const { code, stderr } = await bench('--jsn')
    expect(code).to.equal(2)
    expect(stderr).to.include("'--jsn'").and.to.include('Usage: npm run bench')
  })
})
