import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { checkout } from '../../shared/cli/checkout.ts'

/** The subscriber of docs/examples/python as a process, asked as anybody would ask it. */
export interface PythonSubscriber {
  readonly decide: (claims: object, header?: object) => Promise<Record<string, unknown>>
  readonly status: () => Promise<Record<string, unknown>>
  /** What it wrote besides answers. */
  readonly log: readonly string[]
  /** Ends its questions. Resolves with its exit code. */
  stop(): Promise<number | null>
}

export const pythonScript: string = join(checkout, 'docs', 'examples', 'python', 'subscriber.py')

export function startPython(
  python: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): PythonSubscriber {
  // -B: no compiled files in the checkout.
  const child: ChildProcess = spawn(python, ['-B', pythonScript, ...args], {
    env: { ...env, PATH: process.env['PATH'], PYTHONUTF8: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const log: string[] = []
  const waiting: ((answer: string) => void)[] = []
  const gone = once(child, 'close') as Promise<[number | null]>
  if (child.stdout === null || child.stderr === null) throw new Error('no streams')
  createInterface({ input: child.stderr }).on('line', (line) => log.push(line))
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line))
  const ask = async (question: object): Promise<Record<string, unknown>> => {
    const answer = new Promise<string>((resolve) => waiting.push(resolve))
    child.stdin?.write(`${JSON.stringify(question)}\n`)
    const line = await Promise.race([
      answer,
      gone.then(([code]) => {
        throw new Error(`The Python subscriber ended (${code}): ${log.slice(-20).join('\n')}`)
      }),
    ])
    return JSON.parse(line) as Record<string, unknown>
  }
  return {
    decide: (claims, header) => ask({ claims, ...(header === undefined ? {} : { header }) }),
    status: () => ask({ status: true }),
    log,
    async stop() {
      child.stdin?.end()
      const impatience = setTimeout(() => child.kill('SIGKILL'), 15_000)
      const [code] = await gone
      clearTimeout(impatience)
      return code
    },
  }
}
