import type { Command } from 'commander'
import { once } from 'node:events'
import process from 'node:process'
import { parseMoment } from '../arguments/moment.ts'
import { showMatch } from '../arguments/match-options.ts'
import { pagesOf } from '../client/pages.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { CommandError } from '../exit.ts'
import { answer, harmlessLines } from '../terminal/print.ts'
import { toTable } from '../terminal/table.ts'
import { showMs } from '../terminal/time.ts'

interface AuditOptions {
  readonly action?: string
  readonly who?: string
  readonly sub?: string
  readonly after?: string
  readonly before?: string
  readonly limit: string
  readonly export?: true
  readonly json?: boolean
}

interface AuditRecord {
  readonly at: number
  readonly tenant?: string
  readonly action: string
  readonly who?: { readonly key?: string; readonly by?: string; readonly client?: string }
  readonly from?: { readonly via?: string }
  readonly match?: unknown
  readonly reason?: string
  readonly result?: { readonly ok?: boolean; readonly code?: string }
}

/** `knell audit`: who did what. */
export function addAuditCommand(program: Command): void {
  const command = withConnection(
    program.command('audit').description('who did what, when and why, newest first'),
  )
    .option('--action <name>', 'only this; several by commas')
    .option('--who <name>', 'only this API key or person')
    .option('--sub <text>', 'only what was about this user')
    .option('--after <time>', 'from then on: -24h, 2026-01-31')
    .option('--before <time>', 'until then')
    .option('--limit <count>', 'so many at most', '50')
    .option('--export', 'all of it, one JSON document a line')
  withExamples(command, [
    ['knell audit --after -24h', 'the last day'],
    ['knell audit --sub alice --action revoke,restore', 'what was done to one user'],
    ['knell audit --export > audit.ndjson', 'to keep'],
  ])
  command.action(async (options: AuditOptions) => {
    const client = clientOf(command)
    const { tenant } = client.connection
    const query = {
      tenant,
      action: options.action,
      who: options.who,
      sub: options.sub,
      after: momentOf(options.after),
      before: momentOf(options.before),
    }
    if (options.export === true) {
      const headers = { accept: 'application/x-ndjson' }
      return exportAll(client.stream('/v1/audit', { query, headers }))
    }
    const audit: AuditRecord[] = []
    for await (const page of pagesOf<AuditRecord>(
      client,
      '/v1/audit',
      'audit',
      options.limit,
      query,
    )) {
      audit.push(...page)
    }
    answer(options.json, { audit }, ({ audit: shown }) =>
      shown.length === 0 ? 'Nothing was done.' : table(shown),
    )
  })
}

/** More than the last line of an export has. */
const END_LENGTH = 500

/** Passes the lines on, with what could steer a terminal written as JSON escapes. @throws CommandError where the last does not say that it is all */
async function exportAll(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const decoder = new TextDecoder()
  let end = ''
  for await (const chunk of chunks) {
    const text = harmlessLines(decoder.decode(chunk, { stream: true }))
    end = (end + text).slice(-END_LENGTH)
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
  }
  if (!/\n?\{"end":true,[^\n]*\}\n$/.test(end)) {
    throw new CommandError('failed', 'The export broke off: it is not whole. Run it again.')
  }
}

/** As the trail takes it: ISO 8601, so that nobody takes seconds for milliseconds. */
function momentOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : showMs(parseMoment(text, Date.now()) * 1000)
}

function table(audit: readonly AuditRecord[]): string {
  return toTable(
    ['at', 'tenant', 'action', 'who', 'via', 'match', 'reason', 'result'],
    audit.map(({ at, tenant, action, who, from, match, reason, result }) => [
      showMs(at),
      tenant,
      action,
      [who?.key, who?.client, who?.by].filter(Boolean).join(' / '),
      from?.via,
      match === undefined ? null : showMatch(match),
      reason,
      result?.ok === false ? (result.code ?? 'refused') : 'ok',
    ]),
  )
}
