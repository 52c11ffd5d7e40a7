import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { compiled } from '../../shared/cli/checkout.ts'

/** The compiled command line. */
export const knellFile: string = join(compiled, 'shared', 'cli', 'knell.js')

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Whether its standard input stays open after that. */
  readonly isOpen?: boolean
  readonly cwd?: string
  readonly onStart?: (child: ChildProcess) => void
  /** Called with everything that it has written so far. */
  readonly onOutput?: (text: string, child: ChildProcess) => void
}

/** Runs `knell` as a process of its own, with nothing in its environment but what is given. */
export async function runKnell(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return runProgram(process.execPath, [knellFile, ...args], options)
}

/** Runs any program, and gathers what it writes. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { env = {}, input = '', isOpen = false, cwd, onStart, onOutput }: RunOptions,
): Promise<Ran> {
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], NODE_V8_COVERAGE: process.env['NODE_V8_COVERAGE'], ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  onStart?.(child)
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
    onOutput?.(out + err, child)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
    onOutput?.(out + err, child)
  })
  // One that ends before it has read everything closes the pipe.
  child.stdin.on('error', () => {})
  if (isOpen) child.stdin.write(input)
  else child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out, err }
}
