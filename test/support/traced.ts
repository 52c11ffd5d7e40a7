import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { compiled } from '../../shared/cli/checkout.ts'
import { endAfterDeath } from './end-after-death.ts'
import { eventually } from './eventually.ts'
import { exampleIn } from './example-in.ts'
import type { TestSystem } from './system.ts'

/** A span as the exporter of docs/tracing.md writes it. */
export interface WrittenSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parent?: string
  readonly name: string
  readonly kind: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly status: { readonly code: number }
  readonly linked: readonly string[]
}

/** A process whose lines are read. */
interface Writing {
  readonly output: readonly string[]
}

/** The programs of docs/tracing.md, in a folder from which the package's own name resolves. */
export function openTracing(name: string): {
  /** What makes a process trace. */
  readonly env: Readonly<Record<string, string>>
  /** Runs a program of the folder as a service, until it says that it handles. */
  service(
    system: TestSystem,
    options?: { program?: string; env?: Readonly<Record<string, string>> },
  ): Promise<Writing & { stop(): Promise<void> }>
  close(): void
} {
  const folder = join(compiled, name)
  const children: ChildProcess[] = []
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of ['tracing.mjs', 'service.mjs']) {
    writeFileSync(join(folder, file), exampleIn(file, 'docs/tracing.md'))
  }
  const sdk = pathToFileURL(join(folder, 'tracing.mjs')).href
  const env = { NODE_OPTIONS: `--import=${sdk}` }
  return {
    env,
    async service(system, { program = join(folder, 'service.mjs'), env: more = {} } = {}) {
      const child = spawn(process.execPath, [program], {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          AMQP_URL: system.env['AMQP_URL'],
          KNELL_URL: system.urls()[0],
          KNELL_API_KEY: system.apiKey,
          NAMESPACE: system.namespace,
          ...env,
          ...more,
        },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      children.push(child)
      child.once('close', endAfterDeath(child))
      const output: string[] = []
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => output.push(line))
      }
      await eventually(() => output.includes('handling'), { what: 'the service to handle' })
      return {
        output,
        async stop() {
          if (child.exitCode !== null || child.signalCode !== null) return
          const closed = once(child, 'close')
          child.kill('SIGTERM')
          await closed
        },
      }
    },
    close() {
      for (const child of children) child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The spans that processes have written, of one trace where it is named. */
export function spansOf(processes: readonly Writing[], traceId?: string): WrittenSpan[] {
  return processes
    .flatMap(({ output }) => output)
    .flatMap((line) => {
      if (!line.startsWith('{"traceId"')) return []
      const span = JSON.parse(line) as WrittenSpan
      return traceId === undefined || span.traceId === traceId ? [span] : []
    })
}

/** The spans of a trace, once there are so many. */
export function spansWhen(
  processes: readonly Writing[],
  traceId: string,
  count: number,
): Promise<WrittenSpan[]> {
  return eventually(
    () => {
      const found = spansOf(processes, traceId)
      if (found.length >= count) return found
      throw new Error(`there are ${found.map(({ name }) => name).join(', ')}`)
    },
    { what: `${count} spans of a trace` },
  )
}
