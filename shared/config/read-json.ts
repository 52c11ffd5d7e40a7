import { KnellError } from '../domain/errors.ts'
import { readText } from './read-text.ts'

/** Reads a file of JSON that a setting names. @throws KnellError `config_invalid`, without the path or anything of the file, either of which may be a secret */
export function readJson(path: string): unknown {
  const text = readText(path)
  try {
    return JSON.parse(text)
  } catch {
    // The parser quotes what it read.
    throw new KnellError('config_invalid', 'the file is not JSON')
  }
}
