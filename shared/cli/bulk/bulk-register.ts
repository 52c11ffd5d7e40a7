import { isRecord } from '../../domain/entry.ts'
import type { ApiClient } from '../client/api-client.ts'
import type { BulkFlags } from './bulk-options.ts'
import { finishBulk } from './finish-bulk.ts'
import { openRecords, type FileRecord } from './read-records.ts'
import { withoutToken } from './rejects-file.ts'
import { persist, rejectOf, type Outcome, type Reject } from './run-bulk.ts'
import { checkTokenHeader, tokenRow } from './token-rows.ts'

/** Lines of one upload: few enough that all its rejects are listed, and that there is progress to show. */
const LINES = 2000
const BYTES = 4 * 1024 * 1024

interface Registered {
  readonly registered: number
  readonly rejected?: readonly {
    readonly line: number
    readonly code: string
    readonly message: string
  }[]
}

/** Lines that travel together. */
interface Upload {
  readonly records: readonly FileRecord[]
}

/** Registers every line of a file. The same token again changes nothing, so a run may be repeated as it is. */
export async function bulkRegister(
  client: ApiClient,
  from: string,
  flags: BulkFlags,
): Promise<void> {
  const file = openRecords(from, flags.format, {
    fromRow: tokenRow(Date.now()),
    checkHeader: checkTokenHeader,
  })
  const { tenant } = client.connection
  const work = async ({ records }: Upload, signal: AbortSignal): Promise<Outcome> => {
    const rejects: Reject[] = records.flatMap((record) => rejectOf(record) ?? [])
    const sent = records.flatMap((record) => ('value' in record ? [record] : []))
    if (sent.length === 0) return { done: 0, rejects }
    const lines = sent.map(({ value }) =>
      JSON.stringify(isRecord(value) && tenant !== undefined ? { tenant, ...value } : value),
    )
    const body = Buffer.from(`${lines.join('\n')}\n`)
    const answer = await persist(
      () => client.call<Registered>('/v1/tokens', { body, timeoutMs: 120_000 }),
      signal,
    )
    for (const { line, code, message } of answer.rejected ?? []) {
      const record = sent[line - 1]
      rejects.push({
        line: record?.line ?? line,
        code,
        detail: message,
        item: withoutToken(record?.value),
      })
    }
    return { done: answer.registered, rejects }
  }
  await finishBulk({
    file,
    pieces: uploads(file.records),
    work,
    flags,
    verb: 'registered',
    again: 'Repeat it as it is: a token that is registered already changes nothing.',
  })
}

async function* uploads(records: AsyncIterable<FileRecord>): AsyncGenerator<Upload> {
  let waiting: FileRecord[] = []
  let bytes = 0
  for await (const record of records) {
    waiting.push(record)
    bytes += 'value' in record ? JSON.stringify(record.value).length : 0
    if (waiting.length < LINES && bytes < BYTES) continue
    yield { records: waiting }
    waiting = []
    bytes = 0
  }
  if (waiting.length > 0) yield { records: waiting }
}
