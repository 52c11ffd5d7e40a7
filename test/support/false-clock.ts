import type { Context } from 'mocha'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../../shared/cli/engines/run-command.ts'
import { needTool } from './tools.ts'

/** A wall clock for processes, apart from the machine's, which a test may let jump while they run. */
export interface FalseClock {
  /** What a process needs in its environment to go by it. */
  readonly env: Readonly<Record<string, string>>
  /** How far it is ahead of the machine's from now on; processes see it within a second. */
  jump(seconds: number): void
  remove(): void
}

/** The library that `faketime` puts in front of the system's own, as the dynamic linker takes it. */
export async function needFaketime(suite: Context): Promise<string> {
  const faketime = await needTool(suite, 'faketime')
  const words = ['-m', '-f', '+0', 'printenv', 'LD_PRELOAD']
  const { code, output } = await runCommand(faketime, words, { timeoutMs: 10_000 })
  if (code !== 0) suite.skip()
  return output.trim()
}

export function createFalseClock(library: string, seconds = 0): FalseClock {
  const folder = mkdtempSync(join(tmpdir(), 'knell-clock-'))
  const file = join(folder, 'offset')
  const jump = (by: number): void => writeFileSync(file, `${by < 0 ? '' : '+'}${by}\n`)
  jump(seconds)
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: '1',
      // As on a machine whose clock is set: what measures durations goes on evenly.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    jump,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
