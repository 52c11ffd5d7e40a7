/** Says on `log` that something is being waited for, again every few seconds, and how long it took. */
export async function showProgress<T>(
  log: (line: string) => void,
  what: string,
  work: Promise<T>,
  everyMs = 3_000,
): Promise<T> {
  const startedAt = performance.now()
  const seconds = (): string => ((performance.now() - startedAt) / 1000).toFixed(1)
  log(`Starting ${what} ...`)
  const timer = setInterval(() => log(`Still starting ${what} (${seconds()} s) ...`), everyMs)
  try {
    const result = await work
    log(`Ready: ${what} (${seconds()} s).`)
    return result
  } finally {
    clearInterval(timer)
  }
}
