import process from 'node:process'
import { createInterface } from 'node:readline/promises'
import { CommandError, type ExitName } from '../exit.ts'
import { note } from './print.ts'

/**
 * Asks before something that reaches far. With `--yes` it is taken as said; where nobody can be asked
 * it is refused.
 * @throws CommandError `usage` without a terminal, `failed` where the answer is not yes, `interrupted` by Ctrl-C
 */
export async function confirm(question: string, isYes: boolean | undefined): Promise<void> {
  if (isYes === true) return
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CommandError('usage', `${question} Nobody can be asked here: say it with --yes.`)
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const left = new AbortController()
  let exit: ExitName = 'failed'
  lines.once('SIGINT', () => {
    exit = 'interrupted'
    left.abort()
  })
  // By Ctrl-D; without this the question would stay open for ever.
  lines.once('close', () => left.abort())
  try {
    const said = await lines.question(`${question} [y/N] `, { signal: left.signal }).catch(() => {
      // The answer's own line was not ended.
      note('')
      return ''
    })
    if (!/^y(es)?$/i.test(said.trim())) throw new CommandError(exit, 'Nothing was done.')
  } finally {
    lines.close()
  }
}
