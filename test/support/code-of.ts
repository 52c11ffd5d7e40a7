import { isKnellError } from '../../shared/domain/errors.ts'

/** The code that some work is refused with; the text of an error that is not Knell's. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'nothing was thrown'
  } catch (error) {
    return isKnellError(error) ? error.code : String(error)
  }
}
