import type { ChildProcess } from 'node:child_process'
import { clearAfterDeath } from '../../shared/cli/engines/leftovers.ts'

/** Ends a detached child should this process be killed. What it returns is to be called once the child has ended. */
export function endAfterDeath({ pid }: ChildProcess): () => void {
  return pid === undefined ? () => {} : clearAfterDeath({ kind: 'group', pid })
}
