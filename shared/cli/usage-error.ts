/** The command line is not one this command understands. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Reads a command line; says what is wrong with it, and ends this process with 2. */
export function orExit<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(2)
  }
}
