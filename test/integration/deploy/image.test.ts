import { expect } from 'chai'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from '../../../shared/cli/checkout.ts'
import { freePort } from '../../../shared/cli/engines/free-port.ts'
import { runCommand } from '../../../shared/cli/engines/run-command.ts'
import type { Certificate } from '../../support/certificates.ts'
import { openCertificates } from '../../support/certificates.ts'
import { eventually } from '../../support/eventually.ts'
import { engineUrl, freshNamespace } from '../../support/store.ts'
import { needTool } from '../../support/tools.ts'

/** Whoever `nobody` is on this machine: a user without any rights. */
const NOBODY = 65_534

const read = (path: string): string => readFileSync(join(checkout, path), 'utf8')

/** One instruction of a Dockerfile, its lines joined. */
interface Instruction {
  readonly name: string
  readonly text: string
}

function instructionsOf(dockerfile: string): Instruction[] {
  const lines = dockerfile.replaceAll(/\\\n\s*/g, ' ').split('\n')
  return lines
    .filter((line) => /^[A-Z]+ /.test(line))
    .map((line) => {
      const [name = '', ...rest] = line.split(' ')
      return { name, text: rest.join(' ') }
    })
}

describe('the image', function () {
  this.timeout(180_000)
  const instructions = instructionsOf(read('Dockerfile'))
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
  const textsOf = (name: string, from = instructions): string[] =>
    from.filter((one) => one.name === name).map(({ text }) => text)

  it('runs as a user with a number that is not root, and says whether it is alive', () => {
    expect(textsOf('USER', last)).to.deep.equal(['1000:1000'])
    expect(textsOf('HEALTHCHECK', last)).to.have.length(1)
    expect(textsOf('CMD', last).join()).to.include('dist/notifier/main.js')
    expect(textsOf('FROM')).to.have.length(3)
    expect(textsOf('ADD')).to.deep.equal([])
  })

  it('copies only what there is, and what .dockerignore lets through', () => {
    const let_ = new Set(read('.dockerignore').match(/(?<=^!).+$/gm))
    for (const text of textsOf('COPY').filter((one) => !one.startsWith('--from'))) {
      for (const source of text.split(' ').slice(0, -1)) {
        const path = source.replace(/^\.\//, '')
        expect(let_, path).to.include(path)
        expect(existsSync(join(checkout, path)), path).to.equal(true)
      }
    }
  })

  describe('made by hand as its stages make it', () => {
    let folder: string
    const running: ChildProcess[] = []
    /** Links instead of copies: half a gigabyte would take its time. */
    const copyPackages = async (to: string): Promise<void> => {
      const { code, output } = await runCommand('cp', ['-al', join(checkout, 'node_modules'), to], {
        timeoutMs: 120_000,
      })
      if (code === 0) return
      rmSync(to, { recursive: true, force: true })
      expect(output).to.include('cross-device')
      cpSync(join(checkout, 'node_modules'), to, { recursive: true, verbatimSymlinks: true })
    }
    const npm = async (cwd: string, ...args: string[]): Promise<void> => {
      const { code, output } = await runCommand('npm', ['--prefix', cwd, ...args], {
        timeoutMs: 120_000,
      })
      expect(code, output).to.equal(0)
    }
    before(async () => {
      // Beside the checkout, where a link to its files may be made.
      folder = mkdtempSync(join(tmpdir(), 'knell-image-'))
      chmodSync(folder, 0o755)
      const build = join(folder, 'build')
      for (const text of textsOf('COPY').filter((one) => !one.startsWith('--from'))) {
        const sources = text.split(' ').slice(0, -1)
        for (const source of sources) {
          const path = source.replace(/^\.\//, '')
          cpSync(join(checkout, path), join(build, path), { recursive: true })
        }
      }
      await copyPackages(join(build, 'node_modules'))
      await npm(build, 'run', 'build')
      // What `npm ci --omit=dev` would put there.
      await npm(build, 'prune', '--omit=dev', '--offline', '--ignore-scripts', '--no-audit')
      const [, removed = ''] =
        /rm -rf (.+)/.exec(textsOf('RUN').find((text) => text.includes('--omit=dev')) ?? '') ?? []
      expect(removed).to.include('node_modules/')
      for (const path of [...removed.split(' '), 'notifier', 'poller', 'shared', 'tsconfig.json']) {
        rmSync(join(build, path), { recursive: true })
      }
    })
    afterEach(async () => {
      for (const child of running.splice(0)) {
        if (child.exitCode !== null) continue
        const exited = once(child, 'exit')
        child.kill('SIGTERM')
        await exited
      }
    })
    after(() => rmSync(folder, { recursive: true, force: true }))

    const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}

    function run(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
      const child = spawn(process.execPath, args, {
        cwd: join(folder, 'build'),
        env: { PATH: process.env['PATH'], NODE_ENV: 'production', HOME: '/nonexistent', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
        ...asNobody,
      })
      running.push(child)
      return child
    }

    async function end(child: ChildProcess): Promise<{ code: number | null; output: string }> {
      let output = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
      }
      const [code] = (await once(child, 'close')) as [number | null]
      return { code, output }
    }

    it('lacks what only tests need', () => {
      const has = (name: string): boolean =>
        existsSync(join(folder, 'build/node_modules', name, 'package.json'))
      expect(['mocha', 'typescript', 'chai', 'express'].filter(has)).to.deep.equal([])
      expect(
        ['fastify', 'ioredis', 'amqplib', 'bullmq'].filter((name) => !has(name)),
      ).to.deep.equal([])
    })

    for (const kind of ['notifier', 'poller'] as const) {
      it(`runs a ${kind} without rights, which is alive, ready and stops by itself`, async () => {
        const port = `${await freePort()}`
        const env = {
          AMQP_URL: engineUrl('AMQP_URL'),
          REDIS_URL: engineUrl('REDIS_URL'),
          NAMESPACE: freshNamespace(),
          API_KEYS: 'test=correct-horse-battery:*',
          PORT: port,
        }
        const child = run([`dist/${kind}/main.js`], env)
        const ended = end(child)
        const check = () => end(run(['dist/shared/cli/health-check.js'], { PORT: port }))
        await eventually(async () => (await check()).code === 0, { intervalMs: 200 })
        await eventually(
          async () =>
            (await fetch(`http://127.0.0.1:${port}/readyz`, { headers: { connection: 'close' } }))
              .status === 200,
          { timeoutMs: 20_000 },
        )
        child.kill('SIGTERM')
        const { code, output } = await ended
        expect(code, output).to.equal(0)
        expect((await check()).code).to.equal(1)
      })
    }

    it('has the command in it', async () => {
      const { code, output } = await end(run(['dist/shared/cli/knell.js', '--version'], {}))
      expect(code, output).to.equal(0)
      expect(output).to.include((JSON.parse(read('package.json')) as { version: string }).version)
    })

    it('knows whether it is alive where it serves HTTPS', async function () {
      const certificates = openCertificates(await needTool(this, 'openssl'))
      try {
        const own: Certificate = await certificates.authority('own')
        const port = `${await freePort()}`
        run(['dist/notifier/main.js'], {
          AMQP_URL: engineUrl('AMQP_URL'),
          REDIS_URL: engineUrl('REDIS_URL'),
          NAMESPACE: freshNamespace(),
          API_KEYS: 'test=correct-horse-battery:*',
          PORT: port,
          TLS_CERT: own.cert,
          TLS_KEY: own.key,
        })
        await eventually(
          async () => {
            const env = { PORT: port, TLS_CERT: own.cert }
            return (await end(run(['dist/shared/cli/health-check.js'], env))).code === 0
          },
          { intervalMs: 200 },
        )
      } finally {
        certificates.remove()
      }
    })
  })
})
