import { Option, type Command } from 'commander'
import { readFileSync } from 'node:fs'
import { isTenant } from '../../domain/tenant.ts'
import { note } from '../terminal/print.ts'
import { UsageError } from '../usage-error.ts'
import { ApiClient } from './api-client.ts'

/** What every command that calls the API is told. */
export interface ConnectionOptions {
  readonly url: string
  readonly key?: string
  readonly keyFile?: string
  readonly tenant?: string
  readonly json?: boolean
}

export const CONNECTION = 'Connection:'
const DEFAULT_URL = 'http://127.0.0.1:7070'

/** Adds where to call, as whom, and `--json`. */
export function withConnection(command: Command): Command {
  const options = [
    new Option('--url <url>', 'the notifier').env('KNELL_URL').default(DEFAULT_URL),
    new Option('--key <secret>', 'the API key; seen in ps, so rather the variable').env(
      'KNELL_API_KEY',
    ),
    new Option('--key-file <path>', 'a file that holds the API key').env('KNELL_API_KEY_FILE'),
    new Option('--tenant <name>', 'the tenant, where it is not "default"').env('KNELL_TENANT'),
  ]
  for (const option of options) command.addOption(option.helpGroup(CONNECTION))
  return withJson(command)
}

export function withJson(command: Command): Command {
  return command.addOption(
    new Option('--json', 'one JSON document for machines').helpGroup(CONNECTION),
  )
}

/** The client that the options of a command describe. @throws UsageError */
export function clientOf(command: Command): ApiClient {
  const options = command.opts<ConnectionOptions>()
  const { tenant } = options
  if (tenant !== undefined && !isTenant(tenant)) {
    throw new UsageError(
      `"${String(tenant)}" is no name of a tenant: 1 to 40 of A-Z, a-z, 0-9, _ and -.`,
    )
  }
  return new ApiClient({ url: parseUrl(options.url), key: keyOf(command, options), tenant })
}

/** @throws UsageError */
export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError('The URL must begin with http:// or https://, as http://127.0.0.1:7070.')
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError('The URL must hold no credentials: the API key goes into KNELL_API_KEY.')
  }
  // What is resolved against it lies below it, not beside it.
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

/** What stands on the command line goes before the environment, and the secret itself before a file. */
function keyOf(command: Command, { key, keyFile }: ConnectionOptions): string | undefined {
  const isOnLine = (name: string): boolean => command.getOptionValueSource(name) === 'cli'
  if (isOnLine('key'))
    note('--key can be seen by others in ps; KNELL_API_KEY or --key-file cannot.')
  const fromFile =
    keyFile !== undefined && (key === undefined || (isOnLine('keyFile') && !isOnLine('key')))
  const secret = (fromFile ? readKey(keyFile) : key)?.trim()
  if (secret === undefined || secret === '') return undefined
  if (!/^[\x21-\x7e]+$/.test(secret)) {
    throw new UsageError('The API key must be one word of printable ASCII: the secret alone.')
  }
  return secret
}

function readKey(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new UsageError(`The file of --key-file cannot be read (${code}).`, { cause: error })
  }
}
