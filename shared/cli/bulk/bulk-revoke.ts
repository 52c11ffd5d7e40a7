import type { Match } from '../../domain/claims.ts'
import { isRecord } from '../../domain/entry.ts'
import { isMass } from '../../domain/reach.ts'
import { ApiProblem, type ApiClient } from '../client/api-client.ts'
import { detailsOf, type ChangeOptions } from '../changes/change-options.ts'
import type { DryRun } from '../changes/show-change.ts'
import { UsageError } from '../usage-error.ts'
import type { BulkFlags } from './bulk-options.ts'
import { finishBulk } from './finish-bulk.ts'
import { openRecords, type FileRecord } from './read-records.ts'
import { withoutToken } from './rejects-file.ts'
import { checkRevocationHeader, revocationRow } from './revocation-rows.ts'
import { persist, rejectOf, type Outcome } from './run-bulk.ts'
import { runOf } from './run-id.ts'

/** Revokes every line of a file. What the command line says beside holds for lines that do not say otherwise. */
export async function bulkRevoke(
  client: ApiClient,
  from: string,
  options: ChangeOptions & BulkFlags,
): Promise<void> {
  if (options.wait !== undefined)
    throw new UsageError('--wait is for one revocation, not for a file.')
  const run = runOf(options.run, Date.now())
  const { tenant } = client.connection
  const defaults = {
    ...(tenant === undefined ? {} : { tenant }),
    ...detailsOf(options, run.startedMs),
  }
  const file = openRecords(from, options.format, {
    fromRow: revocationRow(run.startedMs),
    checkHeader: checkRevocationHeader,
  })
  let hits = 0
  const work = async (record: FileRecord, signal: AbortSignal): Promise<Outcome> => {
    const unreadable = rejectOf(record)
    if (unreadable !== undefined || !('value' in record)) {
      return { done: 0, rejects: unreadable === undefined ? [] : [unreadable] }
    }
    const { line, value } = record
    const refuse = (code: string, detail: string): Outcome => ({
      done: 0,
      rejects: [{ line, code, detail, item: withoutToken(value) }],
    })
    if (!isRecord(value)) return refuse('invalid_request', 'the line is no JSON object')
    const { match } = value
    if (isRecord(match) && isMass(match as Match) && options.yes !== true) {
      return refuse('needs_yes', 'it reaches beyond one user, session or token: say it with --yes')
    }
    try {
      const answer = await persist(
        () =>
          client.call('/v1/revocations', {
            body: { ...defaults, ...value },
            headers: { 'idempotency-key': `${run.id}.${line}` },
          }),
        signal,
      )
      hits += (answer as unknown as DryRun).hits?.tokens ?? 0
      return { done: 1, rejects: [] }
    } catch (error) {
      if (error instanceof ApiProblem && isOfLine(error)) return refuse(error.code, error.detail)
      throw error
    }
  }
  const isDry = options.dryRun === true
  await finishBulk({
    file,
    pieces: file.records,
    work,
    flags: options,
    verb: isDry ? 'would revoke' : 'revoked',
    again: isDry ? '' : `To repeat it with one effect per line: --run ${run.id} (for 10 minutes)`,
    more: () => (isDry ? { dryRun: true, hits } : { run: run.id }),
  })
}

/** Whether the next line may fare better: a key that is refused once is refused for all. */
function isOfLine({ status, code }: ApiProblem): boolean {
  return status < 500 && status !== 429 && code !== 'unauthorized' && code !== 'foreign_answer'
}
