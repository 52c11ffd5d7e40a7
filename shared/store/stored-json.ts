import { KnellError } from '../domain/errors.ts'

/**
 * Reads what Knell itself has written. Whatever is wrong with it is no fault of who asks, so it never
 * passes for one of theirs. @throws KnellError `store_corrupt`
 */
export function fromStore<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw corrupt(error)
  }
}

/** @throws KnellError `store_corrupt` */
export function parseStored(text: string): unknown {
  return fromStore((): unknown => JSON.parse(text))
}

export function corrupt(cause: unknown): KnellError {
  return new KnellError(
    'store_corrupt',
    'The store holds something that Knell did not write so; the log has more.',
    { cause },
  )
}
