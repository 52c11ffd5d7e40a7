import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { clearAfterDeath } from '../engines/leftovers.ts'

const STOP_WITHIN_MS = 3000

/** A call to a child, and its answer; both bear the number of the call. */
export interface Call {
  readonly number: number
  readonly method: string
  readonly args: readonly unknown[]
}

export interface Answer {
  readonly number: number
  readonly value?: unknown
  readonly error?: string
}

type ArgsOf<F> = F extends (...args: infer Args) => unknown ? Args : never
type AnswerOf<F> = F extends (...args: never[]) => infer Value ? Awaited<Value> : never

/** A process that measures what must not be measured in ours: another end of a wire, or a process without ioredis. */
export interface Child<Methods> {
  call<Name extends keyof Methods & string>(
    name: Name,
    ...args: ArgsOf<Methods[Name]>
  ): Promise<AnswerOf<Methods[Name]>>
  stop(): Promise<void>
}

/** Starts a compiled program of this folder that ends in `serve(methods)`. It ends with this process, however that ends. */
export function openChild<Methods>(
  program: string,
  options: { readonly execArgv?: readonly string[] } = {},
): Child<Methods> {
  const file = fileURLToPath(new URL(`${program}.js`, import.meta.url))
  const child = fork(file, {
    execArgv: ['--enable-source-maps', ...(options.execArgv ?? [])],
    // In a group of its own, so that a Ctrl-C reaches it through us only.
    detached: true,
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const forget = child.pid ? clearAfterDeath({ kind: 'group', pid: child.pid }) : () => {}
  const waiting = new Map<number, (answer: Answer) => void>()
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      forget()
      for (const [number, settle] of waiting) settle({ number, error: `${program} has ended.` })
      resolve()
    }
    child.once('exit', end)
    child.once('error', end)
  })
  child.on('message', (message) => {
    const answer = message as Answer
    waiting.get(answer.number)?.(answer)
  })
  let last = 0
  return {
    call(method, ...args) {
      const number = ++last
      return new Promise((resolve, reject) => {
        waiting.set(number, ({ value, error }) => {
          waiting.delete(number)
          if (error === undefined) resolve(value as never)
          else reject(new Error(`${program}.${method}: ${error}`))
        })
        if (!child.connected) waiting.get(number)?.({ number, error: 'it does not run.' })
        else child.send({ number, method, args } satisfies Call)
      })
    },
    stop: () => stop(child, ended),
  }
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.connected) child.disconnect()
  const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
  await ended
  clearTimeout(impatience)
}
