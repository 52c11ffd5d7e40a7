import { isKnellError, KnellError } from '../domain/errors.ts'

/**
 * An error that lists everything wrong with a piece of configuration, one problem a line, and as an
 * array in `details.problems`.
 */
export function configInvalid(heading: string, problems: readonly string[]): KnellError {
  const lines = problems.map((problem) => `\n- ${problem}`)
  return new KnellError('config_invalid', `${heading}:${lines.join('')}`, { details: { problems } })
}

/** The problems an error lists, or its message where it lists none. Any error that is not about configuration is thrown on. */
export function problemsOf(error: unknown): readonly string[] {
  if (!isKnellError(error, 'config_invalid')) throw error
  const problems = error.details?.['problems']
  return Array.isArray(problems) ? (problems as string[]) : [error.message]
}
