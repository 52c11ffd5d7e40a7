import { Option, type Command } from 'commander'
import type { Format } from './read-records.ts'

/** What every command over a file is told. */
export interface BulkFlags {
  readonly from?: string
  readonly format?: Format
  readonly onError?: 'continue' | 'stop'
  readonly rejects?: string
  readonly concurrency?: string
  readonly run?: string
  readonly json?: boolean
}

const BULK = 'Bulk:'

/** Adds `--from` and what belongs to it. */
export function withFile(command: Command, concurrency: string): Command {
  const options = [
    new Option('--from <file>', 'every line of a file, .ndjson or .csv; - is standard input'),
    new Option('--format <format>', 'what the file is, whatever its name').choices([
      'ndjson',
      'csv',
    ]),
    new Option('--on-error <what>', 'after a line was refused')
      .choices(['continue', 'stop'])
      .default('continue'),
    new Option('--rejects <file>', 'write the refused lines there, as NDJSON'),
    new Option('--concurrency <count>', 'calls at once').default(concurrency),
  ]
  for (const option of options) command.addOption(option.helpGroup(BULK))
  return command
}

/** Adds `--run`, for commands whose repetition would have another effect. */
export function withRun(command: Command): Command {
  return command.addOption(
    new Option(
      '--run <id>',
      'repeat a run that was broken off, with one effect per line (10 minutes)',
    ).helpGroup(BULK),
  )
}
