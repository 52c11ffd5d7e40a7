/** The command line is not one this command understands. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
