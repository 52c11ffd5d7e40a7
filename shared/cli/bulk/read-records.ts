import { CsvError, parse } from 'csv-parse'
import { createReadStream, statSync } from 'node:fs'
import process from 'node:process'
import { Readable } from 'node:stream'
import { readLines } from '../../domain/lines.ts'
import { CommandError } from '../exit.ts'
import { UsageError } from '../usage-error.ts'

/** One item of a file: what it says, or what is wrong with it. */
export type FileRecord = { readonly line: number } & (
  { readonly value: unknown } | { readonly problem: string }
)

/** Makes an item of the cells of a CSV row, which all have a name. @throws Error that says what is wrong with the row */
export type FromRow = (cells: ReadonlyMap<string, string>) => unknown

/** Makes sure that the names of a header row are known. @throws UsageError */
export type CheckHeader = (names: readonly string[]) => void

export interface RecordFile {
  /** In bytes; undefined where the end is not known. */
  readonly size: number | undefined
  /** Bytes read so far. */
  readonly read: () => number
  readonly records: AsyncGenerator<FileRecord>
  /** Reads no more of it; twice is fine. */
  readonly close: () => void
}

export type Format = 'ndjson' | 'csv'
const MAX_LINE = 65_536

/**
 * Opens NDJSON, or CSV with a header row (RFC 4180), from a file, or from standard input where the path
 * is `-`. The format is what the name ends in, but for `format`.
 * @throws UsageError where the format or the file is none
 */
export function openRecords(
  path: string,
  format: Format | undefined,
  csv: { readonly fromRow: FromRow; readonly checkHeader: CheckHeader },
): RecordFile {
  const kind = format ?? formatOf(path)
  const size = path === '-' ? undefined : sizeOf(path)
  let read = 0
  const source = path === '-' ? process.stdin : createReadStream(path)
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      read += chunk.length
      yield chunk
    }
  }
  return {
    size,
    read: () => read,
    close: () => void source.destroy(),
    records: kind === 'csv' ? rows(counted(), csv.fromRow, csv.checkHeader) : lines(counted()),
  }
}

function formatOf(path: string): Format {
  if (path === '-' || /\.(ndjson|jsonl)$/i.test(path)) return 'ndjson'
  if (/\.csv$/i.test(path)) return 'csv'
  throw new UsageError(`"${path}" ends in neither .ndjson nor .csv: say which with --format.`)
}

/** Undefined for a pipe, whose end is not known. @throws UsageError */
function sizeOf(path: string): number | undefined {
  try {
    const found = statSync(path)
    if (found.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    return found.isFile() ? found.size : undefined
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new UsageError(`"${path}" cannot be read (${code}).`, { cause: error })
  }
}

async function* lines(source: AsyncIterable<Uint8Array>): AsyncGenerator<FileRecord> {
  for await (const { number: line, text, problem } of readLines(source, MAX_LINE)) {
    if (text === undefined) {
      yield { line, problem: `the line is ${problem ?? 'unreadable'}` }
    } else if (text.trim() !== '') {
      yield toRecord(line, () => JSON.parse(text) as unknown, 'the line is not JSON')
    }
  }
}

async function* rows(
  source: AsyncIterable<Uint8Array>,
  fromRow: FromRow,
  checkHeader: CheckHeader,
): AsyncGenerator<FileRecord> {
  const parser = parse({
    bom: true,
    trim: true,
    skip_empty_lines: true,
    info: true,
    // One file may hold lines of several makers.
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    max_record_size: MAX_LINE,
  })
  const feeding = Readable.from(textOf(source))
  feeding.on('error', (error) => parser.destroy(error))
  feeding.pipe(parser)
  let names: readonly string[] | undefined
  try {
    for await (const { info, record } of parser as AsyncIterable<Row>) {
      if (names === undefined) {
        names = record
        checkHeader(names)
        continue
      }
      const { lines: line } = info
      if (record.length !== names.length) {
        yield { line, problem: `the row has ${record.length} cells, the header ${names.length}` }
        continue
      }
      const cells = new Map(names.map((name, i) => [name, record[i] ?? '']))
      for (const [name, cell] of cells) if (cell === '') cells.delete(name)
      yield toRecord(line, () => fromRow(cells))
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw new CommandError('failed', `The file is no CSV: ${error.message}`, { cause: error })
  } finally {
    feeding.destroy()
  }
}

/** Broken bytes must not become replacement characters: what nobody has would be revoked, and said to be. @throws CommandError */
async function* textOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    for await (const bytes of source) yield decoder.decode(bytes, { stream: true })
    yield decoder.decode()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new CommandError('failed', 'The file is not UTF-8.', { cause: error })
  }
}

interface Row {
  readonly info: { readonly lines: number }
  readonly record: readonly string[]
}

function toRecord(line: number, make: () => unknown, problem?: string): FileRecord {
  try {
    return { line, value: make() }
  } catch (error) {
    return { line, problem: problem ?? (error as Error).message }
  }
}
