import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { loadCases } from '../../shared/cli/load/cases.ts'

const file = fileURLToPath(new URL('../../shared/cli/soak.js', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the soak as a process of its own, on engines of its own. */
function soak(
  args: readonly string[],
  onOutput: (text: string, stop: () => void) => void = () => {},
): Promise<Ended> {
  const child = spawn(process.execPath, ['--enable-source-maps', file, ...args], {
    env: process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  child.stderr.on('data', (chunk) => {
    err += String(chunk)
    onOutput(err, () => child.kill('SIGINT'))
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, out, err }))
  })
}

describe('npm run soak', () => {
  it('keeps every promise under a random load and the faults of a seed, and says what each process held', async function () {
    this.timeout(600_000)
    const { code, out, err } = await soak(['--minutes', '0.4', '--seed', '7'])
    expect(code, `${out}\n${err}`).to.equal(0)
    expect(err).to.include('seed 7')
    expect(err).to.match(/kill .* is over/)
    expect(out).to.match(/notifier-1 .*heap [\d.]+ … [\d.]+ … [\d.]+/)
    expect(out).to.match(/redis .*connections \d+ … \d+ … \d+/)
    expect(out).to.match(/rabbitmq .*queues \d+ … \d+ … \d+/)
    expect(out).to.include('Every promise was kept. (seed 7)')
  })

  it('finds an acknowledged revocation that was lost, and tells the seed that does it again', async function () {
    this.timeout(600_000)
    const { code, out, err } = await soak(['--minutes', '0.05', '--seed', '7', '--lose'])
    expect(code, `${out}\n${err}`).to.equal(1)
    expect(out).to.include(
      'The revocation of {"sub":"lost"} was acknowledged, but billing-1 says active.',
    )
    expect(out).to.include('The same faults again: npm run soak -- --minutes 0.05 --seed 7')
  })

  it('ends on Ctrl-C, and takes its engines along', async function () {
    this.timeout(300_000)
    const { code, err } = await soak(['--minutes', '5'], (text, stop) => {
      if (text.includes('seed ')) stop()
    })
    expect(code, err).to.equal(130)
    expect(err).to.include('Stopping ...')
  })

  it('names the known cases where one is unknown, and every option that it does not take', async () => {
    const { code, err } = await soak(['--case', 'brust'])
    expect(code).to.equal(2)
    expect(err).to.include('There is no case "brust"; did you mean "burst"?')
    for (const { name } of loadCases) expect(err).to.include(name)
    expect((await soak(['--minutes', 'ten'])).err).to.include('found "ten"')
    expect((await soak(['--sed', '1'])).err).to.include("'--sed'")
  })
})

describe('npm run soak -- --case', () => {
  it('runs every load at its small size and keeps what it promises', async function () {
    this.timeout(900_000)
    const { code, out, err } = await soak(['--case', 'all', '--quick', '--json'])
    expect(code, `${out}\n${err}`).to.equal(0)
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { case: string; figures: object; missed: string[] })
    expect(lines.map((line) => line.case)).to.deep.equal(loadCases.map(({ name }) => name))
    for (const { case: name, figures, missed } of lines) {
      expect(missed, name).to.deep.equal([])
      for (const [what, value] of Object.entries(figures)) {
        expect(value, `${name}: ${what}`).to.be.a('number').that.is.finite
      }
    }
  })
})
