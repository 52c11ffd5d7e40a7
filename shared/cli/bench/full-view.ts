import type { Bench } from './bench-context.ts'
import { openChild, type Child } from './child.ts'
import { serveSnapshot } from './snapshot-server.ts'
import type { Signer } from './verify-cost.ts'
import type { Booted, ViewProgram } from './view.ts'

/** A subscriber in a process of its own that has booted with `count` revoked tokens. */
export async function openFullView(
  bench: Bench,
  count: number,
  signer?: Signer,
): Promise<{ view: Child<ViewProgram>; booted: Booted; url: string }> {
  const { engines, scope } = bench
  const url = await serveSnapshot(bench, count)
  const view = openChild<ViewProgram>('view', { execArgv: ['--expose-gc'] })
  scope.defer(() => view.stop())
  const { amqpUrl, namespace } = engines
  const booted = await view.call('boot', { amqpUrl, namespace, url, ...(signer && { signer }) })
  if (booted.rules !== count) throw new Error(`The view has ${booted.rules} of ${count} rules.`)
  return { view, booted, url }
}
