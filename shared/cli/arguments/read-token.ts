import process from 'node:process'
import { UsageError } from '../usage-error.ts'

const MAX_BYTES = 64 * 1024

/**
 * The token on standard input. A token is a secret, and an argument is seen by everybody in ps, so `-`
 * is the only value that `--token` takes.
 * @throws UsageError
 */
export async function readToken(value: string): Promise<string> {
  if (value !== '-') {
    throw new UsageError(
      'A token on the command line can be seen by others in ps: pass it to --token - through standard input.',
    )
  }
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BYTES) throw new UsageError('What stands on standard input is no token.')
    chunks.push(chunk)
  }
  const token = Buffer.concat(chunks).toString('utf8').trim()
  if (token === '') throw new UsageError('There is no token on standard input.')
  return token
}
