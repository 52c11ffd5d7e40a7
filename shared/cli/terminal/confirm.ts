import process from 'node:process'
import { createInterface } from 'node:readline/promises'
import { CommandError } from '../exit.ts'

/**
 * Asks before something that reaches far. With `--yes` it is taken as said; where nobody can be asked
 * it is refused.
 * @throws CommandError `usage` without a terminal, `failed` where the answer is not yes
 */
export async function confirm(question: string, isYes: boolean | undefined): Promise<void> {
  if (isYes === true) return
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CommandError('usage', `${question} Nobody can be asked here: say it with --yes.`)
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const said = await lines.question(`${question} [y/N] `)
    if (!/^y(es)?$/i.test(said.trim())) throw new CommandError('failed', 'Nothing was done.')
  } finally {
    lines.close()
  }
}
