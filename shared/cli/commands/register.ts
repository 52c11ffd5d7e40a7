import type { Command } from 'commander'
import { parseMoment } from '../arguments/moment.ts'
import { readToken } from '../arguments/read-token.ts'
import { bulkRegister } from '../bulk/bulk-register.ts'
import { withFile, type BulkFlags } from '../bulk/bulk-options.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { answer } from '../terminal/print.ts'
import { UsageError } from '../usage-error.ts'

interface RegisterOptions extends BulkFlags {
  readonly token?: string
  readonly claims?: string
  readonly jti?: string
  readonly sub?: string
  readonly sid?: string
  readonly clientId?: string
  readonly exp?: string
}

/** `knell register`: makes tokens known, so that their expiry is announced. */
export function addRegisterCommand(program: Command): void {
  const command = program
    .command('register')
    .description('make tokens known, so that their expiry is announced')
    .option('--token <->', 'a token, read from standard input and verified')
    .option('--claims <json>', 'the payload of a token')
    .option('--jti <text>', 'its id')
    .option('--exp <time>', 'when it expires: +15m, seconds since 1970')
    .option('--sub <text>', 'its user')
    .option('--sid <text>', 'its session')
    .option('--client-id <text>', 'its client')
  withConnection(withFile(command, '2'))
  withExamples(command, [
    ['knell register --jti t-1 --sub alice --exp +15m', 'one token'],
    ['printf %s "$TOKEN" | knell register --token -', 'a token that is at hand'],
    ['knell register --from tokens.ndjson --rejects bad.ndjson', 'a whole file'],
    ['knell register --from tokens.csv', 'columns jti, sub, exp'],
  ])
  command.action(async (options: RegisterOptions) => {
    const client = clientOf(command)
    if (options.from !== undefined) return bulkRegister(client, options.from, options)
    const { tenant } = client.connection
    const item = await itemOf(options)
    const body = { ...item, ...(tenant === undefined ? {} : { tenant }) }
    const done = await client.call('/v1/tokens', { body })
    answer(options.json, done, () => 'registered')
  })
}

async function itemOf(options: RegisterOptions): Promise<object> {
  const { token, claims, jti, exp, sub, sid, clientId } = options
  if (token !== undefined) return { token: await readToken(token) }
  if (claims !== undefined) {
    try {
      return { claims: JSON.parse(claims) as unknown }
    } catch (error) {
      throw new UsageError('--claims must be a JSON object.', { cause: error })
    }
  }
  if (jti === undefined || exp === undefined) {
    throw new UsageError('Give --from, --token -, --claims, or --jti and --exp.')
  }
  return { claims: { jti, exp: parseMoment(exp, Date.now()), sub, sid, client_id: clientId } }
}
