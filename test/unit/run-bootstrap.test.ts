import { expect } from 'chai'
import { spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the real checkout, from `dist/test/unit`. */
const checkout = fileURLToPath(new URL('../../../', import.meta.url))

/** A checkout with one command that says its arguments and ends with 3, and a stand-in for npm that counts its runs. */
class Fixture {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'knell-bootstrap-'))

  constructor() {
    for (const path of ['shared/cli/run.mjs', 'shared/cli/bootstrap']) {
      cpSync(join(checkout, path), join(this.dir, path), { recursive: true })
    }
    this.write('package.json', '{ "type": "module" }')
    this.lock('1.0.0')
    const options = {
      module: 'NodeNext',
      target: 'ES2023',
      types: [],
      rootDir: '.',
      outDir: 'dist',
    }
    const compilerOptions = { ...options, sourceMap: true, strict: true }
    this.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['shared'] }))
    this.write(
      'shared/cli/test.ts',
      `import { shout } from './shout.js'
       declare const process: { argv: string[]; exitCode: number }
       declare const console: { log(line: string): void }
       console.log(shout(process.argv.slice(2).join(' ')))
       process.exitCode = 3`,
    )
    this.write('shared/cli/shout.ts', 'export const shout = (text: string) => text.toUpperCase()')
    this.write(
      'npm.cjs',
      `const fs = require('node:fs')
       if (process.argv[2] === 'ci' && fs.existsSync('incomplete')) {
         console.error('npm error code EUSAGE')
         process.exit(1)
       }
       fs.appendFileSync('npm-runs', process.argv.slice(2).join(' ') + '\\n')
       fs.rmSync('node_modules', { recursive: true, force: true })
       fs.mkdirSync('node_modules')
       for (const name of ['typescript', 'esbuild']) {
         fs.symlinkSync(${JSON.stringify(join(checkout, 'node_modules'))} + '/' + name, 'node_modules/' + name)
       }
       fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json')`,
    )
  }

  /** Has the package export a module, whose file is made where services load it. */
  export(name: string): void {
    const files = { types: `./dist/shared/${name}.d.ts`, default: `./dist/lib/${name}.js` }
    this.write(
      'package.json',
      JSON.stringify({ type: 'module', exports: { [`./${name}`]: files } }),
    )
  }

  write(path: string, text: string): void {
    mkdirSync(join(this.dir, path, '..'), { recursive: true })
    writeFileSync(join(this.dir, path), text)
  }

  lock(version: string): void {
    const packages = {
      '': { name: 'fixture' },
      'node_modules/typescript': { version, integrity: `sha512-${version}` },
      'node_modules/elsewhere': { version: '1.0.0', optional: true },
    }
    this.write('package-lock.json', JSON.stringify({ packages }))
  }

  /** As git does with every file that it writes. */
  touchLock(): void {
    const later = new Date(Date.now() + 60_000)
    utimesSync(join(this.dir, 'package-lock.json'), later, later)
  }

  get #command(): [string, string[], { cwd: string; env: NodeJS.ProcessEnv }] {
    const env = { PATH: process.env.PATH, npm_execpath: join(this.dir, 'npm.cjs') }
    return [process.execPath, ['shared/cli/run.mjs', 'test', 'a', 'b'], { cwd: this.dir, env }]
  }

  run(): { code: number | null; stdout: string; stderr: string } {
    const [file, args, options] = this.#command
    const { status, stdout, stderr } = spawnSync(file, args, { ...options, encoding: 'utf8' })
    return { code: status, stdout, stderr }
  }

  async runInBackground(): Promise<number | null> {
    const [file, args, options] = this.#command
    const child = spawn(file, args, { ...options, stdio: 'ignore' })
    return new Promise((resolve) => child.once('exit', resolve))
  }

  get #npmRuns(): string[] {
    const file = join(this.dir, 'npm-runs')
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  }

  get npmRuns(): number {
    return this.#npmRuns.length
  }

  get lastNpmRun(): string | undefined {
    return this.#npmRuns.at(-1)
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true })
  }
}

describe('run.mjs', function () {
  this.timeout(60_000)
  let fixture: Fixture

  before(() => {
    fixture = new Fixture()
  })

  after(() => fixture.remove())

  it('names its commands when it is asked for another one', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(fixture.dir, 'shared/cli/run.mjs'), 'tset'],
      { encoding: 'utf8' },
    )
    expect(status).to.equal(1)
    expect(stderr).to.match(/^Usage: .*<demo\|start\|test\|/)
  })

  it('installs, compiles and runs the command, in a fresh checkout, once for two copies', async () => {
    const codes = await Promise.all([fixture.runInBackground(), fixture.runInBackground()])
    expect(codes).to.deep.equal([3, 3])
    expect(fixture.npmRuns).to.equal(1)
    expect(existsSync(join(fixture.dir, 'dist/.next'))).to.equal(false)
  })

  it('does neither again, keeps standard output to the command, and passes its exit code on', () => {
    expect(fixture.run()).to.deep.equal({ code: 3, stdout: 'A B\n', stderr: '' })
  })

  it('points the source maps at the sources', () => {
    const map = JSON.parse(
      readFileSync(join(fixture.dir, 'dist/shared/cli/shout.js.map'), 'utf8'),
    ) as { sources: string[] }
    expect(map.sources).to.deep.equal(['../../../shared/cli/shout.ts'])
  })

  it('does not install again for a lock file that is younger but says the same', () => {
    fixture.touchLock()
    expect(fixture.run().code).to.equal(3)
    expect(fixture.npmRuns).to.equal(1)
  })

  it('installs again when the lock file is younger and says something else', () => {
    fixture.lock('1.0.1')
    fixture.touchLock()
    expect(fixture.run()).to.deep.include({ code: 3, stdout: 'A B\n' })
    expect(fixture.npmRuns).to.equal(2)
  })

  it('installs by a lock file that npm ci finds incomplete, without rewriting it', () => {
    fixture.write('incomplete', '')
    fixture.lock('1.0.2')
    fixture.touchLock()
    expect(fixture.run()).to.deep.include({ code: 3, stdout: 'A B\n' })
    expect(fixture.npmRuns).to.equal(3)
    expect(fixture.lastNpmRun).to.match(/^install --no-save /)
  })

  it('compiles again when a source has changed', () => {
    fixture.write('shared/cli/shout.ts', 'export const shout = (text: string) => `${text}!`')
    expect(fixture.run()).to.deep.include({ code: 3, stdout: 'a b!\n' })
  })

  it('shows what the compiler says, and leaves the last good files alone', () => {
    fixture.write('shared/cli/shout.ts', 'export const shout = (text: string): number => text')
    const { code, stderr } = fixture.run()
    expect(code).to.equal(1)
    expect(stderr).to.match(/shout\.ts.*TS2322/)
    const kept = readFileSync(join(fixture.dir, 'dist/shared/cli/shout.js'), 'utf8')
    expect(kept).to.include('`${text}!`')
  })

  it('removes the compiled files of a source that is gone', () => {
    fixture.write('shared/cli/shout.ts', 'export const shout = (text: string) => text')
    fixture.write('shared/cli/gone.ts', 'export const gone = 1')
    fixture.run()
    const file = join(fixture.dir, 'dist/shared/cli/gone.js')
    expect(existsSync(file)).to.equal(true)
    rmSync(join(fixture.dir, 'shared/cli/gone.ts'))
    expect(fixture.run().stdout).to.equal('a b\n')
    expect(existsSync(file)).to.equal(false)
  })

  it('bundles what the package exports, with maps to its sources, and removes what it exports no more', async () => {
    fixture.write('shared/part.ts', 'export const part: string = "part"')
    fixture.write(
      'shared/whole.ts',
      `export const whole: string = 'whole'\nexport * from './part.js'`,
    )
    fixture.export('whole')
    expect(fixture.run().code).to.equal(3)
    const file = join(fixture.dir, 'dist/lib/whole.js')
    const text = readFileSync(file, 'utf8')
    expect(text).not.to.match(/(?:from|import) ?['"]\./)
    expect(await import(file)).to.include({ whole: 'whole', part: 'part' })
    const map = JSON.parse(readFileSync(`${file}.map`, 'utf8')) as { sources: string[] }
    expect(map.sources).to.have.members(['../../shared/whole.ts', '../../shared/part.ts'])
    fixture.export('part')
    expect(fixture.run().code).to.equal(3)
    expect(existsSync(file)).to.equal(false)
    expect(existsSync(join(fixture.dir, 'dist/lib/part.js'))).to.equal(true)
  })

  it('takes over the lock of a copy that is dead', async () => {
    const { lockOf } = (await import(join(checkout, 'shared/cli/bootstrap/lock.mjs'))) as {
      lockOf: (path: string) => string
    }
    const { pid: dead } = spawnSync(process.execPath, ['-e', ''])
    const lock = lockOf(fixture.dir)
    mkdirSync(lock)
    writeFileSync(join(lock, 'pid'), `${dead}`)
    fixture.write('shared/cli/shout.ts', 'export const shout = (text: string) => `${text}?`')
    expect(fixture.run().stdout).to.equal('a b?\n')
    expect(existsSync(lock)).to.equal(false)
  })

  for (const [version, isFine] of [
    ['18.20.0', false],
    ['20.18.9', false],
    ['20.19.0', true],
    ['21.0.0', true],
    ['24.1.0', true],
  ] as const) {
    it(`${isFine ? 'takes' : 'refuses'} Node ${version}`, async () => {
      const { checkNode } = (await import(
        join(checkout, 'shared/cli/bootstrap/check-node.mjs')
      )) as { checkNode: (version: string) => string | undefined }
      const complaint = checkNode(version)
      if (isFine) expect(complaint).to.equal(undefined)
      else expect(complaint).to.include('20.19').and.include(version)
    })
  }
})
