import { readFileSync } from 'node:fs'
import { KnellError } from '../domain/errors.ts'

/** Reads a file that a setting names. @throws KnellError `config_invalid`, without the path, which may be a secret in the wrong place */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\ufeff/, '')
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new KnellError('config_invalid', `the file cannot be read (${code})`)
  }
}
