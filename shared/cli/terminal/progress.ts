import cliProgress from 'cli-progress'
import process from 'node:process'

/** Something that takes long, shown on standard error while it is a terminal, and nowhere else. */
export interface Progress {
  /** How far it is, in whatever `total` counts, and how many items that are, where they are counted apart. */
  update(done: number, beside?: string): void
  stop(): void
}

const silent: Progress = { update: () => {}, stop: () => {} }

/** @param total undefined where the end is not known: then a count is shown instead of a bar */
export function openProgress(
  what: string,
  total: number | undefined,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  if (!stream.isTTY) return silent
  const format =
    total === undefined ? `${what} {value} {beside}` : `${what} {bar} {percentage} % {beside}`
  const bar = new cliProgress.SingleBar(
    { stream, format, hideCursor: true, clearOnComplete: true, etaBuffer: 50 },
    cliProgress.Presets.shades_classic,
  )
  bar.start(total ?? 0, 0, { beside: '' })
  return {
    update(done, beside = '') {
      bar.update(Math.min(done, total ?? done), { beside })
    },
    stop: () => bar.stop(),
  }
}
